-- Every statement of every kind of request and task, as the core writes it. A test compares; UPDATE=1 writes the file again.

-- POST /auth/verify
SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, id, name, created_at, expires_at FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3);

-- GET /tenants
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id > iif(k.standing, ?5, NULL) ORDER BY t.id LIMIT ?6;

-- GET /tenants, a further page
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id > iif(k.standing, ?5, NULL) ORDER BY t.id LIMIT ?6;

-- GET /tenants, by id
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.id IN (SELECT value FROM json_each(?5)) ORDER BY t.id LIMIT ?6;

-- GET /tenants, by external_id
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.external_id = ?5 ORDER BY t.id LIMIT ?6;

-- GET /tenants, by hostname
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.hostname = ?5 ORDER BY t.id LIMIT ?6;

-- GET /tenants, by a label, a further page
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenant_labels AS l CROSS JOIN tenants AS t ON t.id = l.tenant_id AND l.name = ?5 AND l.value = ?6 AND EXISTS (SELECT 1 FROM tenant_labels WHERE tenant_id = t.id AND name = ?7 AND value = ?8) AND l.tenant_id > ?9 ORDER BY l.tenant_id LIMIT ?10;

-- GET /tenants, by a label's name
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenant_labels AS l CROSS JOIN tenants AS t ON t.id = l.tenant_id AND l.name = ?5 AND EXISTS (SELECT 1 FROM tenant_labels WHERE tenant_id = t.id AND name = ?6) ORDER BY l.tenant_id LIMIT ?7;

-- GET /tenants, by a prefix
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.id IN (SELECT id FROM tenants WHERE id >= ?5 AND id < ?6 UNION SELECT id FROM tenants WHERE hostname >= ?7 AND hostname < ?8) ORDER BY t.id LIMIT ?9;

-- GET /tenants, by plan, a further page
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.plan_id = ?5 AND t.id > ?6 ORDER BY t.id LIMIT ?7;

-- GET /tenants, without a plan
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.plan_id IS NULL ORDER BY t.id LIMIT ?5;

-- GET /tenants, by is_enabled, a further page
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.is_enabled = ?5 AND t.id > ?6 ORDER BY t.id LIMIT ?7;

-- GET /tenants, by created_since
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.created_at >= ?5 ORDER BY +t.id LIMIT ?6;

-- GET /tenants, by updated_since
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.updated_at >= ?5 ORDER BY +t.id LIMIT ?6;

-- GET /tenants, what is new, in its order
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.updated_at >= ?5 ORDER BY t.updated_at, t.id LIMIT ?6;

-- GET /tenants, in the order of updates, the last first
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON (t.updated_at, t.id) < (?5, ?6) ORDER BY t.updated_at DESC, t.id DESC LIMIT ?7;

-- GET /tenants, in the order of creation, a further page
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON (t.created_at, t.id) > (?5, ?6) ORDER BY t.created_at, t.id LIMIT ?7;

-- GET /tenants, in the order of hostnames
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON (t.hostname, t.id) > (?5, ?6) ORDER BY t.hostname, t.id LIMIT ?7;

-- GET /tenants, all that filters
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.external_id = ?5 AND +t.hostname = ?6 AND +t.id IN (SELECT value FROM json_each(?7)) AND EXISTS (SELECT 1 FROM tenant_labels WHERE tenant_id = t.id AND name = ?8 AND value = ?9) AND EXISTS (SELECT 1 FROM tenant_labels WHERE tenant_id = t.id AND name = ?10) AND (+t.id >= ?11 AND +t.id < ?12 OR +t.hostname >= ?13 AND +t.hostname < ?14) AND +t.plan_id = ?15 AND +t.updated_at >= ?16 AND +t.created_at >= ?17 AND +t.is_enabled = ?18 AND t.id > ?19 ORDER BY t.id LIMIT ?20;
SELECT count(*) AS total FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.external_id = ?5 AND +t.hostname = ?6 AND +t.id IN (SELECT value FROM json_each(?7)) AND EXISTS (SELECT 1 FROM tenant_labels WHERE tenant_id = t.id AND name = ?8 AND value = ?9) AND EXISTS (SELECT 1 FROM tenant_labels WHERE tenant_id = t.id AND name = ?10) AND (+t.id >= ?11 AND +t.id < ?12 OR +t.hostname >= ?13 AND +t.hostname < ?14) AND +t.plan_id = ?15 AND +t.updated_at >= ?16 AND +t.created_at >= ?17 AND +t.is_enabled = ?18;

-- GET /tenants, counted, some members
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, NULL AS env, t.stats, t.last_job_at FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.id > ?5 ORDER BY t.id LIMIT ?6;
SELECT count(*) AS total FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants AS t ON t.id > ?5;

-- GET /tenants/{id}/settings
SELECT k.standing, t.id, k.has_all, t.limits, t.env, p.id AS plan_id, p.limits AS plan_limits, p.env AS plan_env FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id = iif(k.standing, ?5, NULL) LEFT JOIN tenants_plans AS p ON p.id = t.plan_id;

-- GET /tenants/{id}
SELECT k.standing, t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.external_id, t.labels, t.limits, t.env, t.stats, t.last_job_at, (SELECT epoch FROM registry WHERE id = 1) || char(46) || t.revision AS revision FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id = iif(k.standing, ?5, NULL);

-- POST /tenants
INSERT INTO create_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled, plan_id, limits, env, external_id_is_taken, external_id, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?7), ?9 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?9), EXISTS (SELECT 1 FROM pragma_table_info(?12)), ?13, ?6, ?7, ?8, (SELECT id FROM tenants_plans WHERE id = ?9), ?10, ?11, EXISTS (SELECT 1 FROM tenants WHERE external_id = ?14), ?14, ?15, ?16, EXISTS (SELECT 1 FROM audit_log WHERE token = ?16) RETURNING key_stands, is_done, iif(id_is_there, (SELECT id FROM tenants WHERE id = ?6), NULL) AS id_holder, iif(hostname_is_taken, (SELECT id FROM tenants WHERE hostname = ?7), NULL) AS hostname_holder, iif(external_id_is_taken, (SELECT id FROM tenants WHERE external_id = ?14), NULL) AS external_id_holder, plan_is_there, site_is_there, now, plan_id, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants WHERE id = ?6) AS revision;

-- PATCH /tenants/{id}, everything set
INSERT INTO edit_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?7 AND id <> ?6), ?10 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?10), ?6, ?7, ?8, ?9, (SELECT id FROM tenants_plans WHERE id = ?10), ?11, ?12, ?13, ?14, EXISTS (SELECT 1 FROM tenants WHERE external_id = ?16 AND id <> ?6), (SELECT count(*) FROM json_each(json_patch((SELECT labels FROM tenants WHERE id = ?6), ?18))) <= 32 AND coalesce(length(CAST(replace(json_patch((SELECT labels FROM tenants WHERE id = ?6), ?18), char(39), char(39, 39)) AS BLOB)), 0) <= 12000, ?15, ?16, ?17, json_patch((SELECT labels FROM tenants WHERE id = ?6), ?18), ?19, EXISTS (SELECT 1 FROM audit_log WHERE token = ?19) RETURNING key_stands, is_done, id_is_there, iif(hostname_is_taken, (SELECT id FROM tenants WHERE hostname = ?7), NULL) AS hostname_holder, iif(external_id_is_taken, (SELECT id FROM tenants WHERE external_id = ?16), NULL) AS external_id_holder, plan_is_there, labels_fit, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants WHERE id = ?6) AS revision, (SELECT stats FROM tenants WHERE id = ?6) AS stats, (SELECT last_job_at FROM tenants WHERE id = ?6) AS last_job_at;

-- PATCH /tenants/{id}, everything cleared
INSERT INTO edit_tenant (key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM tenants WHERE hostname = ?7 AND id <> ?6), ?10 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?10), ?6, ?7, ?8, ?9, (SELECT id FROM tenants_plans WHERE id = ?10), ?11, ?12, ?13, ?14, EXISTS (SELECT 1 FROM tenants WHERE external_id = ?16 AND id <> ?6), (SELECT count(*) FROM json_each(json_patch((SELECT labels FROM tenants WHERE id = ?6), ?18))) <= 32 AND coalesce(length(CAST(replace(json_patch((SELECT labels FROM tenants WHERE id = ?6), ?18), char(39), char(39, 39)) AS BLOB)), 0) <= 12000, ?15, ?16, ?17, json_patch((SELECT labels FROM tenants WHERE id = ?6), ?18), ?19, EXISTS (SELECT 1 FROM audit_log WHERE token = ?19) RETURNING key_stands, is_done, id_is_there, iif(hostname_is_taken, (SELECT id FROM tenants WHERE hostname = ?7), NULL) AS hostname_holder, iif(external_id_is_taken, (SELECT id FROM tenants WHERE external_id = ?16), NULL) AS external_id_holder, plan_is_there, labels_fit, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants WHERE id = ?6) AS revision, (SELECT stats FROM tenants WHERE id = ?6) AS stats, (SELECT last_job_at FROM tenants WHERE id = ?6) AS last_job_at;

-- DELETE /tenants/{id}
INSERT INTO delete_tenant (key_id, request_id, now, key_stands, id_is_there, site_is_there, id, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants WHERE id = ?6), EXISTS (SELECT 1 FROM pragma_table_info(?7)), ?6, ?8, EXISTS (SELECT 1 FROM audit_log WHERE token = ?8) RETURNING key_stands, is_done, id_is_there;

-- DELETE /tenants/{id}, drop_tables
INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail, token) SELECT ?1, CASE WHEN coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AND EXISTS (SELECT 1 FROM tenants WHERE id = ?7) THEN ?5 END, ?7, ?6, ?3, ?8, ?9;
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
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing, EXISTS (SELECT 1 FROM tenants WHERE id = ?5) AS tenant_is_there, EXISTS (SELECT 1 FROM pragma_table_info(?6)) AS is_installed;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail, token) SELECT ?1, CASE WHEN coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AND EXISTS (SELECT 1 FROM tenants WHERE id = ?7) THEN ?5 END, ?7, ?6, ?3, ?8, ?9;
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
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing, EXISTS (SELECT 1 FROM tenants WHERE id = ?5) AS tenant_is_there, EXISTS (SELECT 1 FROM pragma_table_info(?6)) AS is_installed;
UPDATE "chv_a_users" SET password_hash = iif(EXISTS (SELECT 1 FROM audit_log WHERE token = ?5), password_hash, ?6) WHERE coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AND EXISTS (SELECT 1 FROM tenants WHERE id = ?7) AND username = ?8 RETURNING username;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE changes() > 0 AND NOT EXISTS (SELECT 1 FROM audit_log WHERE token = ?6);

-- GET /tenants-plans
SELECT k.standing, p.id, p.external_id, p.labels, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants_plans AS p ON p.id > iif(k.standing, ?5, NULL) ORDER BY p.id LIMIT ?6;

-- GET /tenants-plans, by external_id
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, p.id, p.external_id, p.labels, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN tenants_plans AS p ON p.external_id = ?5 ORDER BY p.id LIMIT ?6;

-- GET /tenants-plans, by labels
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;
SELECT k.standing, p.id, p.external_id, p.labels, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) AS k CROSS JOIN plan_labels AS l CROSS JOIN tenants_plans AS p ON p.id = l.plan_id AND l.name = ?5 AND l.value = ?6 AND EXISTS (SELECT 1 FROM plan_labels WHERE plan_id = p.id AND name = ?7 AND value = ?8) AND EXISTS (SELECT 1 FROM plan_labels WHERE plan_id = p.id AND name = ?9) AND l.plan_id > ?10 ORDER BY l.plan_id LIMIT ?11;

-- GET /tenants-plans/{id}
SELECT k.standing, p.id, p.external_id, p.labels, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description, (SELECT epoch FROM registry WHERE id = 1) || char(46) || p.revision AS revision FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants_plans AS p ON p.id = iif(k.standing, ?5, NULL);

-- POST /tenants-plans
INSERT INTO create_plan (key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, ?8, ?9, ?10, EXISTS (SELECT 1 FROM tenants_plans WHERE external_id = ?11), ?11, ?12, ?13, EXISTS (SELECT 1 FROM audit_log WHERE token = ?13) RETURNING key_stands, is_done, iif(id_is_there, (SELECT id FROM tenants_plans WHERE id = ?6), NULL) AS id_holder, iif(external_id_is_taken, (SELECT id FROM tenants_plans WHERE external_id = ?11), NULL) AS external_id_holder, now, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants_plans WHERE id = ?6) AS revision;

-- PATCH /tenants-plans/{id}, everything set
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, EXISTS (SELECT 1 FROM tenants_plans WHERE external_id = ?15 AND id <> ?6), (SELECT count(*) FROM json_each(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17))) <= 32 AND coalesce(length(CAST(replace(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), char(39), char(39, 39)) AS BLOB)), 0) <= 12000, ?14, ?15, ?16, json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), ?18, EXISTS (SELECT 1 FROM audit_log WHERE token = ?18) RETURNING key_stands, is_done, id_is_there, iif(external_id_is_taken, (SELECT id FROM tenants_plans WHERE external_id = ?15), NULL) AS external_id_holder, labels_fit, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants_plans WHERE id = ?6) AS revision;

-- PATCH /tenants-plans/{id}, everything cleared
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, EXISTS (SELECT 1 FROM tenants_plans WHERE external_id = ?15 AND id <> ?6), (SELECT count(*) FROM json_each(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17))) <= 32 AND coalesce(length(CAST(replace(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), char(39), char(39, 39)) AS BLOB)), 0) <= 12000, ?14, ?15, ?16, json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), ?18, EXISTS (SELECT 1 FROM audit_log WHERE token = ?18) RETURNING key_stands, is_done, id_is_there, iif(external_id_is_taken, (SELECT id FROM tenants_plans WHERE external_id = ?15), NULL) AS external_id_holder, labels_fit, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants_plans WHERE id = ?6) AS revision;

-- PATCH /tenants-plans/{id} in the legacy dialect, everything set
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, EXISTS (SELECT 1 FROM tenants_plans WHERE external_id = ?15 AND id <> ?6), (SELECT count(*) FROM json_each(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17))) <= 32 AND coalesce(length(CAST(replace(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), char(39), char(39, 39)) AS BLOB)), 0) <= 12000, ?14, ?15, ?16, json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), ?18, EXISTS (SELECT 1 FROM audit_log WHERE token = ?18) RETURNING key_stands, is_done, id_is_there, iif(external_id_is_taken, (SELECT id FROM tenants_plans WHERE external_id = ?15), NULL) AS external_id_holder, labels_fit, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants_plans WHERE id = ?6) AS revision;

-- PATCH /tenants-plans/{id} in the legacy dialect, the description cleared
INSERT INTO edit_plan (key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, EXISTS (SELECT 1 FROM tenants_plans WHERE external_id = ?15 AND id <> ?6), (SELECT count(*) FROM json_each(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17))) <= 32 AND coalesce(length(CAST(replace(json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), char(39), char(39, 39)) AS BLOB)), 0) <= 12000, ?14, ?15, ?16, json_patch((SELECT labels FROM tenants_plans WHERE id = ?6), ?17), ?18, EXISTS (SELECT 1 FROM audit_log WHERE token = ?18) RETURNING key_stands, is_done, id_is_there, iif(external_id_is_taken, (SELECT id FROM tenants_plans WHERE external_id = ?15), NULL) AS external_id_holder, labels_fit, (SELECT (SELECT epoch FROM registry WHERE id = 1) || char(46) || revision FROM tenants_plans WHERE id = ?6) AS revision;

-- DELETE /tenants-plans/{id}
INSERT INTO delete_plan (key_id, request_id, now, key_stands, id_is_there, id, token, is_done) SELECT ?1, ?5, ?3, coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0), EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?6), ?6, ?7, EXISTS (SELECT 1 FROM audit_log WHERE token = ?7) RETURNING key_stands, is_done, id_is_there;

-- GET /config/traefik
SELECT k.standing, (SELECT epoch FROM registry WHERE id = 1) AS epoch, (SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ?5) AS revision, c.number, c.routes FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN (WITH RECURSIVE chunk (number, start) AS (SELECT 0, ?6 FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) UNION ALL SELECT number + 1, (SELECT id FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT 1 OFFSET ?7) FROM chunk WHERE start IS NOT NULL) SELECT number, (SELECT group_concat(route, ?9) FROM (SELECT iif(length(CAST(id || hostname AS BLOB)) <= ?8 AND instr(id || hostname, ?9) = 0, id || ?9 || hostname, json_array(substr(id, 1, 16), substr(hostname, 1, 32)) || ?9) AS route FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT ?7)) AS routes FROM chunk WHERE start IS NOT NULL) AS c;

-- GET /config/traefik with If-None-Match
SELECT k.standing, (SELECT epoch FROM registry WHERE id = 1) AS epoch, (SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ?5) AS revision, c.number, c.routes FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN (WITH RECURSIVE chunk (number, start) AS (SELECT 0, ?6 FROM (SELECT 1 AS standing FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3) AND permits & ?4 = ?4) UNION ALL SELECT number + 1, (SELECT id FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT 1 OFFSET ?7) FROM chunk WHERE start IS NOT NULL) SELECT number, (SELECT group_concat(route, ?9) FROM (SELECT iif(length(CAST(id || hostname AS BLOB)) <= ?8 AND instr(id || hostname, ?9) = 0, id || ?9 || hostname, json_array(substr(id, 1, 16), substr(hostname, 1, 32)) || ?9) AS route FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT ?7)) AS routes FROM chunk WHERE start IS NOT NULL) AS c;

-- GET /config/traefik with If-None-Match: *
SELECT k.standing, (SELECT epoch FROM registry WHERE id = 1) AS epoch, (SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ?5) AS revision FROM (SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) AS standing, permits < 0 AS has_all FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k;

-- GET /config/traefik by a developer
SELECT k.standing, (SELECT epoch FROM registry WHERE id = 1) AS epoch, (SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ?1) AS revision, c.number, c.routes FROM (SELECT 1 AS standing) AS k LEFT JOIN (WITH RECURSIVE chunk (number, start) AS (SELECT 0, ?2 FROM (SELECT 1 AS standing) UNION ALL SELECT number + 1, (SELECT id FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT 1 OFFSET ?3) FROM chunk WHERE start IS NOT NULL) SELECT number, (SELECT group_concat(route, ?5) FROM (SELECT iif(length(CAST(id || hostname AS BLOB)) <= ?4 AND instr(id || hostname, ?5) = 0, id || ?5 || hostname, json_array(substr(id, 1, 16), substr(hostname, 1, 32)) || ?5) AS route FROM tenants WHERE is_enabled = 1 AND id >= chunk.start ORDER BY id LIMIT ?3)) AS routes FROM chunk WHERE start IS NOT NULL) AS c;

-- GET /config/traefik by a developer, with If-None-Match
SELECT k.standing, (SELECT epoch FROM registry WHERE id = 1) AS epoch, (SELECT coalesce(max(id), 0) FROM audit_log WHERE action <> ?1) AS revision FROM (SELECT 1 AS standing) AS k;

-- any request for a malformed id
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing;

-- GET /_/health
SELECT name FROM d1_migrations ORDER BY id;

-- the batch that asks why the last one failed, of a request that creates, drops or uses a tenant's tables
SELECT coalesce((SELECT iif(permits & ?4 = ?4, 1, char(33) || (~permits & ?4)) FROM api_keys WHERE id = ?1 AND digest = ?2 COLLATE NOCASE AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)), 0) AS standing, EXISTS (SELECT 1 FROM audit_log WHERE token = ?7) AS is_done, (SELECT id FROM tenants WHERE id = ?5) AS tenant_id, EXISTS (SELECT 1 FROM pragma_table_info(?6)) AS is_installed;

-- the creation of a key
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0) + 1 AS id;
INSERT INTO api_keys (id, name, digest, created_at, expires_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?6 AND seq >= ?1) RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;

-- the list of keys
SELECT id, name, created_at, expires_at, deleted_at FROM api_keys ORDER BY id;

-- a key by its digest
SELECT id, name, created_at, expires_at, deleted_at FROM api_keys WHERE id = ?1 AND digest = ?2;

-- the deletion of keys
INSERT INTO audit_log (key_id, action, subject, request_id, created_at, operator) SELECT NULL, ?4, CAST(id AS TEXT), ?5, ?1, ?6 FROM api_keys WHERE deleted_at IS NULL AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR name = ?3);
UPDATE api_keys SET deleted_at = ?1 WHERE deleted_at IS NULL AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR name = ?3) RETURNING id;

-- what follows a restore
INSERT OR REPLACE INTO registry (id, epoch) VALUES (1, lower(hex(randomblob(8))));
INSERT INTO audit_log (key_id, action, subject, request_id, created_at, operator) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE changes() > 0;

-- the statistics of one tenant
UPDATE tenants SET stats_turn_at = ?1, has_site = EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) WHERE id = ?4 RETURNING id, has_site, iif(json_valid(stats), (stats ->> ?5) + (stats ->> ?6) + (stats ->> ?7) + (stats ->> ?8) + (stats ->> ?9) + (stats ->> ?10) + (stats ->> ?11) + (stats ->> ?12) <= ?13, NULL) AS is_small;
UPDATE tenants SET stats = (SELECT json_object(?1, tags.n, ?2, files.n, ?3, pages.n, ?4, users.n, ?5, users.admins, ?6, albums.n, ?7, users.managers, ?8, storages.n, ?9, jobs.seconds, ?10, categories.n, ?11, likes.of_files, ?12, files.views, ?13, likes.of_albums, ?14, albums.views, ?15, files.bytes, ?16, login_providers.n) FROM (SELECT count(*) AS n FROM "chv_a_tags") AS tags, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views, coalesce(sum(size_bytes), 0) AS bytes FROM "chv_a_files") AS files, (SELECT count(*) AS n FROM "chv_a_pages") AS pages, (SELECT count(*) AS n, coalesce(sum(is_admin), 0) AS admins, coalesce(sum(is_manager), 0) AS managers FROM "chv_a_users") AS users, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views FROM "chv_a_albums") AS albums, (SELECT count(*) AS n FROM "chv_a_storages") AS storages, (SELECT coalesce(sum(duration_s), 0) AS seconds FROM "chv_a_jobs") AS jobs, (SELECT count(*) AS n FROM "chv_a_categories") AS categories, (SELECT count(file_id) AS of_files, count(album_id) AS of_albums FROM "chv_a_likes") AS likes, (SELECT count(*) AS n FROM "chv_a_login_providers") AS login_providers), last_job_at = ?17 WHERE id = ?18 RETURNING id;

-- the statistics of those whose turn it is
UPDATE tenants SET stats_turn_at = ?1, has_site = EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) WHERE id IN (SELECT id FROM (SELECT id FROM tenants WHERE has_site = 1 AND stats_turn_at IS NULL LIMIT ?4) UNION ALL SELECT id FROM (SELECT id FROM tenants WHERE has_site = 1 AND stats_turn_at <= datetime(?1, ?5) ORDER BY stats_turn_at LIMIT ?4) LIMIT ?4) RETURNING id, has_site, iif(json_valid(stats), (stats ->> ?6) + (stats ->> ?7) + (stats ->> ?8) + (stats ->> ?9) + (stats ->> ?10) + (stats ->> ?11) + (stats ->> ?12) + (stats ->> ?13) <= ?14, NULL) AS is_small;
UPDATE tenants SET stats = (SELECT json_object(?1, tags.n, ?2, files.n, ?3, pages.n, ?4, users.n, ?5, users.admins, ?6, albums.n, ?7, users.managers, ?8, storages.n, ?9, jobs.seconds, ?10, categories.n, ?11, likes.of_files, ?12, files.views, ?13, likes.of_albums, ?14, albums.views, ?15, files.bytes, ?16, login_providers.n) FROM (SELECT count(*) AS n FROM "chv_a_tags") AS tags, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views, coalesce(sum(size_bytes), 0) AS bytes FROM "chv_a_files") AS files, (SELECT count(*) AS n FROM "chv_a_pages") AS pages, (SELECT count(*) AS n, coalesce(sum(is_admin), 0) AS admins, coalesce(sum(is_manager), 0) AS managers FROM "chv_a_users") AS users, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views FROM "chv_a_albums") AS albums, (SELECT count(*) AS n FROM "chv_a_storages") AS storages, (SELECT coalesce(sum(duration_s), 0) AS seconds FROM "chv_a_jobs") AS jobs, (SELECT count(*) AS n FROM "chv_a_categories") AS categories, (SELECT count(file_id) AS of_files, count(album_id) AS of_albums FROM "chv_a_likes") AS likes, (SELECT count(*) AS n FROM "chv_a_login_providers") AS login_providers), last_job_at = ?17 WHERE id = ?18 RETURNING id;

-- the statistics of every tenant
UPDATE tenants SET stats_turn_at = ?1, has_site = EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) WHERE has_site = 1 OR EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) RETURNING id, has_site, iif(json_valid(stats), (stats ->> ?4) + (stats ->> ?5) + (stats ->> ?6) + (stats ->> ?7) + (stats ->> ?8) + (stats ->> ?9) + (stats ->> ?10) + (stats ->> ?11) <= ?12, NULL) AS is_small;
UPDATE tenants SET stats = (SELECT json_object(?1, tags.n, ?2, files.n, ?3, pages.n, ?4, users.n, ?5, users.admins, ?6, albums.n, ?7, users.managers, ?8, storages.n, ?9, jobs.seconds, ?10, categories.n, ?11, likes.of_files, ?12, files.views, ?13, likes.of_albums, ?14, albums.views, ?15, files.bytes, ?16, login_providers.n) FROM (SELECT count(*) AS n FROM "chv_a_tags") AS tags, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views, coalesce(sum(size_bytes), 0) AS bytes FROM "chv_a_files") AS files, (SELECT count(*) AS n FROM "chv_a_pages") AS pages, (SELECT count(*) AS n, coalesce(sum(is_admin), 0) AS admins, coalesce(sum(is_manager), 0) AS managers FROM "chv_a_users") AS users, (SELECT count(*) AS n, coalesce(sum(views), 0) AS views FROM "chv_a_albums") AS albums, (SELECT count(*) AS n FROM "chv_a_storages") AS storages, (SELECT coalesce(sum(duration_s), 0) AS seconds FROM "chv_a_jobs") AS jobs, (SELECT count(*) AS n FROM "chv_a_categories") AS categories, (SELECT count(file_id) AS of_files, count(album_id) AS of_albums FROM "chv_a_likes") AS likes, (SELECT count(*) AS n FROM "chv_a_login_providers") AS login_providers), last_job_at = ?17 WHERE id = ?18 RETURNING id;

-- the statistics of tenants that could not be counted
UPDATE tenants SET has_site = EXISTS (SELECT 1 FROM pragma_table_info(?2 || lower(tenants.id) || ?3)) WHERE id IN (SELECT value FROM json_each(?1)) RETURNING id, has_site;

-- the state of the service
SELECT name FROM d1_migrations ORDER BY id;
SELECT (SELECT count(*) FROM tenants) AS tenants, (SELECT count(*) FROM tenants WHERE is_enabled = 1) AS enabled, (SELECT count(*) FROM tenants_plans) AS plans, (SELECT count(*) FROM api_keys WHERE deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)) AS valid_keys, (SELECT count(*) FROM tenants WHERE has_site = 1 AND coalesce(last_job_at, created_at) < ?2) AS late_statistics, (SELECT count(*) FROM audit_log) AS audit_entries;
SELECT id, name, created_at, expires_at, deleted_at FROM api_keys WHERE deleted_at IS NULL AND expires_at > ?1 AND expires_at <= ?2 ORDER BY expires_at, id;
SELECT id, env FROM tenants WHERE id > ?1 AND env IS NOT NULL ORDER BY id LIMIT ?2;
SELECT id, env FROM tenants_plans WHERE id > ?1 AND env IS NOT NULL ORDER BY id LIMIT ?2;

-- the drop of orphans
SELECT name, id FROM (SELECT t.name AS name, substr(t.name, length(?1) + 1, length(t.name) - length(?1) - length(part.value) - 1) AS id FROM sqlite_master AS t JOIN json_each(?2) AS part ON substr(t.name, -length(part.value) - 1) = ?3 || part.value WHERE t.type = ?4 AND substr(t.name, 1, length(?1)) = ?1) AS found WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = found.id) ORDER BY id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at, operator, detail) SELECT NULL, CASE WHEN NOT EXISTS (SELECT 1 FROM tenants WHERE id = ?1) THEN ?2 END, ?1, ?3, ?4, ?5, ?6;
DROP TABLE IF EXISTS "chv_gone_users";
DROP TABLE IF EXISTS "chv_gone_settings";
DROP TABLE IF EXISTS "chv_gone_jobs";
DROP TABLE IF EXISTS "chv_gone_storages";
DROP TABLE IF EXISTS "chv_gone_categories";
DROP TABLE IF EXISTS "chv_gone_albums";
DROP TABLE IF EXISTS "chv_gone_files";
DROP TABLE IF EXISTS "chv_gone_tags";
DROP TABLE IF EXISTS "chv_gone_tagged";
DROP TABLE IF EXISTS "chv_gone_likes";
DROP TABLE IF EXISTS "chv_gone_pages";
DROP TABLE IF EXISTS "chv_gone_login_providers";
DROP TABLE IF EXISTS "chv_gone_connections";

-- the count of encrypted rows
SELECT count(*) AS sealed, coalesce(sum(substr(env, 1, 11) = ?1), 0) AS current, coalesce(sum(substr(env, 1, 11) = ?2), 0) AS previous FROM tenants WHERE env IS NOT NULL UNION ALL SELECT count(*) AS sealed, coalesce(sum(substr(env, 1, 11) = ?1), 0) AS current, coalesce(sum(substr(env, 1, 11) = ?2), 0) AS previous FROM tenants_plans WHERE env IS NOT NULL;

-- the encryption under a new key
SELECT count(*) AS sealed, coalesce(sum(substr(env, 1, 11) = ?1), 0) AS current, coalesce(sum(substr(env, 1, 11) = ?2), 0) AS previous FROM tenants WHERE env IS NOT NULL UNION ALL SELECT count(*) AS sealed, coalesce(sum(substr(env, 1, 11) = ?1), 0) AS current, coalesce(sum(substr(env, 1, 11) = ?2), 0) AS previous FROM tenants_plans WHERE env IS NOT NULL;
SELECT id, env FROM (SELECT id, env, sum(length(env) + ?4) OVER (ORDER BY id) AS bytes FROM (SELECT id, env FROM tenants WHERE id > ?1 AND env IS NOT NULL AND substr(env, 1, 11) <> ?2 ORDER BY id LIMIT ?3)) WHERE bytes <= ?5 OR bytes = length(env) + ?4 ORDER BY id;
UPDATE tenants SET env = ?1 WHERE id = ?2 AND substr(env, 1, 43) = ?3 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at, operator) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE changes() > 0;
SELECT id, env FROM (SELECT id, env, sum(length(env) + ?4) OVER (ORDER BY id) AS bytes FROM (SELECT id, env FROM tenants_plans WHERE id > ?1 AND env IS NOT NULL AND substr(env, 1, 11) <> ?2 ORDER BY id LIMIT ?3)) WHERE bytes <= ?5 OR bytes = length(env) + ?4 ORDER BY id;
UPDATE tenants_plans SET env = ?1 WHERE id = ?2 AND substr(env, 1, 43) = ?3 RETURNING id;
