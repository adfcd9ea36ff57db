-- Every statement of every kind of request, as the core writes it. A test holds this file equal; UPDATE=1 writes it.

-- POST /auth/verify
SELECT id, name, created_at, expires_at FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3);

-- GET /tenants
SELECT t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id > ?4 ORDER BY t.id LIMIT ?5;

-- GET /tenants/{id}
SELECT t.id, t.hostname, t.is_enabled, t.created_at, t.updated_at, t.plan_id, t.limits, t.env, t.stats, t.last_job_at FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants AS t ON t.id = ?4;

-- POST /tenants
INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at) SELECT ?4, ?5, ?6, (SELECT id FROM tenants_plans WHERE id = ?7), ?8, ?9, ?3, ?3 WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND (?7 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?7)) ON CONFLICT DO NOTHING RETURNING created_at, updated_at, plan_id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands, EXISTS (SELECT 1 FROM tenants WHERE id = ?4) AS id_is_there, EXISTS (SELECT 1 FROM tenants WHERE hostname = ?5 AND (?6 = 0 OR id <> ?4)) AS hostname_is_taken, ?7 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?7) AS plan_is_there;

-- PATCH /tenants/{id}, everything set
UPDATE tenants SET updated_at = ?3, hostname = ?4, is_enabled = ?5, plan_id = (SELECT id FROM tenants_plans WHERE id = ?6), limits = ?7, env = ?8 WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?9 AND NOT EXISTS (SELECT 1 FROM tenants AS other WHERE other.hostname = ?10 AND other.id <> tenants.id) AND EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?11) RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands, EXISTS (SELECT 1 FROM tenants WHERE id = ?4) AS id_is_there, EXISTS (SELECT 1 FROM tenants WHERE hostname = ?5 AND (?6 = 0 OR id <> ?4)) AS hostname_is_taken, ?7 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?7) AS plan_is_there;

-- PATCH /tenants/{id}, everything cleared
UPDATE tenants SET updated_at = ?3, plan_id = (SELECT id FROM tenants_plans WHERE id = ?4), limits = NULL, env = NULL WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?5 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands, EXISTS (SELECT 1 FROM tenants WHERE id = ?4) AS id_is_there, EXISTS (SELECT 1 FROM tenants WHERE hostname = ?5 AND (?6 = 0 OR id <> ?4)) AS hostname_is_taken, ?7 IS NULL OR EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?7) AS plan_is_there;

-- DELETE /tenants/{id}
DELETE FROM tenants WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?4 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- GET /tenants-plans
SELECT p.id, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants_plans AS p ON p.id > ?4 ORDER BY p.id LIMIT ?5;

-- GET /tenants-plans/{id}
SELECT p.id, p.limits, p.env, p.created_at, p.updated_at, p.name, p.description FROM (SELECT 1 AS stands FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS k LEFT JOIN tenants_plans AS p ON p.id = ?4;

-- POST /tenants-plans
INSERT INTO tenants_plans (id, limits, env, name, description, created_at, updated_at) SELECT ?4, ?5, ?6, ?7, ?8, ?3, ?3 WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) ON CONFLICT DO NOTHING RETURNING created_at, updated_at;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- PATCH /tenants-plans/{id}, everything set
UPDATE tenants_plans SET updated_at = ?3, limits = ?4, env = ?5 WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?6 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- PATCH /tenants-plans/{id}, everything cleared
UPDATE tenants_plans SET updated_at = ?3, limits = NULL, env = NULL WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?4 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- PATCH /tenants-plans/{id} in the legacy dialect, everything set
UPDATE tenants_plans SET updated_at = ?3, name = ?4, description = ?5, limits = ?6, env = ?7 WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?8 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- PATCH /tenants-plans/{id} in the legacy dialect, the description cleared
UPDATE tenants_plans SET updated_at = ?3, description = NULL WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?4 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- DELETE /tenants-plans/{id}
UPDATE tenants SET plan_id = NULL WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND EXISTS (SELECT 1 FROM tenants_plans WHERE id = ?4) AND plan_id = ?5;
DELETE FROM tenants_plans WHERE EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AND id = ?4 RETURNING id;
INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE changes() > 0;
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;

-- any, of an identifier that none can have
SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND digest = ?2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) AS key_stands;
