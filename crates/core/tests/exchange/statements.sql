-- Every statement of every kind of request, as the core writes it. A test holds this file equal; UPDATE=1 writes it.

-- POST /auth/verify
SELECT id, name, created_at, expires_at FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3);

-- GET /tenants
SELECT t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id > ?4 ORDER BY t.id LIMIT ?5;

-- GET /tenants/{id}
SELECT t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id = ?4;

-- POST /tenants
INSERT INTO create_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, plan_id, limits, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants WHERE id = ?5), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?6), ?8 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?8), ?5, ?6, ?7, (SELECT id FROM tenants_plans WHERE id = ?8), ?9, ?10 RETURNING key_stands, id_is_there, hostname_is_taken, plan_is_there, now, plan_id;

-- PATCH /tenants/{id}, everything set
INSERT INTO edit_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id, sets_limits, limits, sets_env, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants WHERE id = ?5), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?6 AND id <> ?5), ?9 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?9), ?5, ?6, ?7, ?8, (SELECT id FROM tenants_plans WHERE id = ?9), ?10, ?11, ?12, ?13 RETURNING key_stands, id_is_there, hostname_is_taken, plan_is_there;

-- PATCH /tenants/{id}, everything cleared
INSERT INTO edit_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id, sets_limits, limits, sets_env, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants WHERE id = ?5), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?6 AND id <> ?5), ?9 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?9), ?5, ?6, ?7, ?8, (SELECT id FROM tenants_plans WHERE id = ?9), ?10, ?11, ?12, ?13 RETURNING key_stands, id_is_there, hostname_is_taken, plan_is_there;

-- DELETE /tenants/{id}
INSERT INTO delete_tenant (key_id, request_id, now, key_stands, id_is_there, id) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants WHERE id = ?5), ?5 RETURNING key_stands, id_is_there;

-- DELETE /tenants/{id}, drop_tables
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, CASE WHEN EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND EXISTS (SELECT 1 FROM tenants WHERE id = ?6) THEN ?4 END, ?6, ?5, ?3;
DELETE FROM tenants WHERE id = ?1;
DROP TABLE IF EXISTS "chv_a_users";
DROP TABLE IF EXISTS "chv_a_settings";
DROP TABLE IF EXISTS "chv_a_jobs";
DROP TABLE IF EXISTS "chv_a_storages";
DROP TABLE IF EXISTS "chv_a_categories";
DROP TABLE IF EXISTS "chv_a_albums";
DROP TABLE IF EXISTS "chv_a_files";
DROP TABLE IF EXISTS "chv_a_tags";
DROP TABLE IF EXISTS "chv_a_tagged";
DROP TABLE IF EXISTS "chv_a_likes";
DROP TABLE IF EXISTS "chv_a_pages";
DROP TABLE IF EXISTS "chv_a_login_providers";
DROP TABLE IF EXISTS "chv_a_connections";

-- POST /tenants/{id}/install
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, CASE WHEN EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND EXISTS (SELECT 1 FROM tenants WHERE id = ?6) THEN ?4 END, ?6, ?5, ?3;
CREATE TABLE "chv_not-yet_users" (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, email TEXT NOT NULL UNIQUE COLLATE NOCASE, password_hash TEXT NOT NULL, is_admin INTEGER NOT NULL CHECK (is_admin IN (0, 1)), is_manager INTEGER NOT NULL CHECK (is_manager IN (0, 1)), created_at TEXT NOT NULL) STRICT;
CREATE TABLE "chv_not-yet_settings" (name TEXT NOT NULL PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE "chv_not-yet_jobs" (name TEXT NOT NULL PRIMARY KEY, last_ran_at TEXT NOT NULL, duration_s INTEGER NOT NULL CHECK (duration_s >= 0)) STRICT, WITHOUT ROWID;
CREATE TABLE "chv_not-yet_storages" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL, is_active INTEGER NOT NULL CHECK (is_active IN (0, 1))) STRICT;
CREATE TABLE "chv_not-yet_categories" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, url_key TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE "chv_not-yet_albums" (id INTEGER PRIMARY KEY, user_id INTEGER, title TEXT NOT NULL, description TEXT, is_private INTEGER NOT NULL CHECK (is_private IN (0, 1)), views INTEGER NOT NULL DEFAULT 0 CHECK (views >= 0), created_at TEXT NOT NULL) STRICT;
CREATE INDEX "chv_not-yet_albums_by_user" ON "chv_not-yet_albums" (user_id);
CREATE TABLE "chv_not-yet_files" (id INTEGER PRIMARY KEY, user_id INTEGER, album_id INTEGER, category_id INTEGER, storage_id INTEGER, name TEXT NOT NULL, media_type TEXT NOT NULL, size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0), width_px INTEGER, height_px INTEGER, title TEXT, description TEXT, views INTEGER NOT NULL DEFAULT 0 CHECK (views >= 0), created_at TEXT NOT NULL) STRICT;
CREATE INDEX "chv_not-yet_files_by_album" ON "chv_not-yet_files" (album_id);
CREATE INDEX "chv_not-yet_files_by_user" ON "chv_not-yet_files" (user_id);
CREATE TABLE "chv_not-yet_tags" (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE) STRICT;
CREATE TABLE "chv_not-yet_tagged" (tag_id INTEGER NOT NULL, file_id INTEGER NOT NULL, PRIMARY KEY (tag_id, file_id)) STRICT, WITHOUT ROWID;
CREATE TABLE "chv_not-yet_likes" (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, file_id INTEGER, album_id INTEGER, created_at TEXT NOT NULL, UNIQUE (file_id, user_id), UNIQUE (album_id, user_id), CHECK ((file_id IS NULL) <> (album_id IS NULL))) STRICT;
CREATE TABLE "chv_not-yet_pages" (id INTEGER PRIMARY KEY, url_key TEXT NOT NULL UNIQUE, title TEXT NOT NULL, body TEXT NOT NULL, is_active INTEGER NOT NULL CHECK (is_active IN (0, 1))) STRICT;
CREATE TABLE "chv_not-yet_login_providers" (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1))) STRICT;
CREATE TABLE "chv_not-yet_connections" (provider_id INTEGER NOT NULL, subject TEXT NOT NULL, user_id INTEGER NOT NULL, PRIMARY KEY (provider_id, subject)) STRICT, WITHOUT ROWID;
INSERT INTO "chv_not-yet_users" (username, email, password_hash, is_admin, is_manager, created_at) VALUES (?1, ?2, ?3, 1, 0, ?4) RETURNING username, email, (SELECT id FROM tenants WHERE id = ?5) AS tenant_id;

-- PATCH /tenants/{id}/user-password-reset
UPDATE "chv_a_users" SET password_hash = ?4 WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND EXISTS (SELECT 1 FROM tenants WHERE id = ?5) AND username = ?6 RETURNING username;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands, EXISTS (SELECT 1 FROM tenants WHERE id = ?4) AS tenant_is_there, EXISTS (SELECT 1 FROM pragma_table_info(?5)) AS is_installed;

-- GET /tenants-plans
SELECT p.id, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants_plans AS p ON p.id > ?4 ORDER BY p.id LIMIT ?5;

-- GET /tenants-plans/{id}
SELECT p.id, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants_plans AS p ON p.id = ?4;

-- POST /tenants-plans
INSERT INTO create_plan (key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5, ?6, ?7, ?8, ?9 RETURNING key_stands, id_is_there, now;

-- PATCH /tenants-plans/{id}, everything set
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 RETURNING key_stands, id_is_there;

-- PATCH /tenants-plans/{id}, everything cleared
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 RETURNING key_stands, id_is_there;

-- PATCH /tenants-plans/{id} in the legacy dialect, everything set
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 RETURNING key_stands, id_is_there;

-- PATCH /tenants-plans/{id} in the legacy dialect, the description cleared
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 RETURNING key_stands, id_is_there;

-- DELETE /tenants-plans/{id}
INSERT INTO delete_plan (key_id, request_id, now, key_stands, id_is_there, id) SELECT ?1, ?4, ?3, EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?5), ?5 RETURNING key_stands, id_is_there;

-- any, of an identifier that none can have
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- any of what makes or drops tables or writes to them, where its batch failed
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands, EXISTS (SELECT 1 FROM tenants WHERE id = ?4) AS tenant_is_there, EXISTS (SELECT 1 FROM pragma_table_info(?5)) AS is_installed;

-- the counting of statistics
UPDATE tenants SET stats_turn_at = ?1 WHERE id IN (SELECT t.id FROM tenants AS t WHERE EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(t.id) || ?3)) ORDER BY t.stats_turn_at LIMIT ?4) RETURNING id;
UPDATE tenants SET stats = (SELECT json_object(?1, tags.n, ?2, files.n, ?3, pages.n, ?4, users.n, ?5, users.admins, ?6, albums.n, ?7, users.managers, ?8, storages.n, ?9, jobs.seconds, ?10, categories.n, ?11, likes.of_files, ?12, files.views, ?13, likes.of_albums, ?14, albums.views, ?15, files.bytes, ?16, login_providers.n) FROM (SELECT count(*) AS n FROM "chv_a_tags") AS tags, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views, coalesce(sum(size_bytes), 0) AS bytes FROM "chv_a_files") AS files, (SELECT count(*) AS n FROM "chv_a_pages") AS pages, (SELECT count(*) AS n, coalesce(sum(is_admin), 0) AS admins, coalesce(sum(is_manager), 0) AS managers FROM "chv_a_users") AS users, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views FROM "chv_a_albums") AS albums, (SELECT count(*) AS n FROM "chv_a_storages") AS storages, (SELECT coalesce(sum(duration_s), 0) AS seconds FROM "chv_a_jobs") AS jobs, (SELECT count(*) AS n FROM "chv_a_categories") AS categories, (SELECT count(file_id) AS of_files, count(album_id) AS of_albums FROM "chv_a_likes") AS likes, (SELECT count(*) AS n FROM "chv_a_login_providers") AS login_providers), last_job_at = ?17 WHERE id = ?18 RETURNING id;

-- the counting of one tenant's
UPDATE tenants SET stats_turn_at = ?1 WHERE EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) AND id = ?4 RETURNING id;
SELECT EXISTS (SELECT 1 FROM tenants WHERE id = ?1) AS is_there;
UPDATE tenants SET stats = (SELECT json_object(?1, tags.n, ?2, files.n, ?3, pages.n, ?4, users.n, ?5, users.admins, ?6, albums.n, ?7, users.managers, ?8, storages.n, ?9, jobs.seconds, ?10, categories.n, ?11, likes.of_files, ?12, files.views, ?13, likes.of_albums, ?14, albums.views, ?15, files.bytes, ?16, login_providers.n) FROM (SELECT count(*) AS n FROM "chv_a_tags") AS tags, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views, coalesce(sum(size_bytes), 0) AS bytes FROM "chv_a_files") AS files, (SELECT count(*) AS n FROM "chv_a_pages") AS pages, (SELECT count(*) AS n, coalesce(sum(is_admin), 0) AS admins, coalesce(sum(is_manager), 0) AS managers FROM "chv_a_users") AS users, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views FROM "chv_a_albums") AS albums, (SELECT count(*) AS n FROM "chv_a_storages") AS storages, (SELECT coalesce(sum(duration_s), 0) AS seconds FROM "chv_a_jobs") AS jobs, (SELECT count(*) AS n FROM "chv_a_categories") AS categories, (SELECT count(file_id) AS of_files, count(album_id) AS of_albums FROM "chv_a_likes") AS likes, (SELECT count(*) AS n FROM "chv_a_login_providers") AS login_providers), last_job_at = ?17 WHERE id = ?18 RETURNING id;
