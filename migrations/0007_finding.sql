-- External ids and labels, and the indexes of the filters of a list. schema.sql explains the columns, the tables and the views.

ALTER TABLE tenants_plans ADD COLUMN external_id TEXT;
ALTER TABLE tenants_plans ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX plans_by_external_id ON tenants_plans (external_id) WHERE external_id IS NOT NULL;

ALTER TABLE tenants ADD COLUMN external_id TEXT;
ALTER TABLE tenants ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
DROP INDEX tenants_by_plan;
CREATE INDEX tenants_by_plan ON tenants (plan_id, id);
CREATE INDEX tenants_by_enabled ON tenants (is_enabled, id);
CREATE INDEX tenants_by_creation ON tenants (created_at, id);
CREATE INDEX tenants_by_update ON tenants (updated_at, id);
CREATE UNIQUE INDEX tenants_by_external_id ON tenants (external_id) WHERE external_id IS NOT NULL;

CREATE TABLE tenant_labels (
  tenant_id TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tenants_by_label ON tenant_labels (name, value, tenant_id);
CREATE TRIGGER tenant_labels_created AFTER INSERT ON tenants WHEN NEW.labels <> '{}' BEGIN INSERT INTO tenant_labels (tenant_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels); END;
CREATE TRIGGER tenant_labels_edited AFTER UPDATE OF labels ON tenants WHEN NEW.labels <> OLD.labels BEGIN DELETE FROM tenant_labels WHERE tenant_id = OLD.id; INSERT INTO tenant_labels (tenant_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels); END;
CREATE TRIGGER tenant_labels_deleted AFTER DELETE ON tenants WHEN OLD.labels <> '{}' BEGIN DELETE FROM tenant_labels WHERE tenant_id = OLD.id; END;

CREATE TABLE plan_labels (
  plan_id TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (plan_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX plans_by_label ON plan_labels (name, value, plan_id);
CREATE TRIGGER plan_labels_created AFTER INSERT ON tenants_plans WHEN NEW.labels <> '{}' BEGIN INSERT INTO plan_labels (plan_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels); END;
CREATE TRIGGER plan_labels_edited AFTER UPDATE OF labels ON tenants_plans WHEN NEW.labels <> OLD.labels BEGIN DELETE FROM plan_labels WHERE plan_id = OLD.id; INSERT INTO plan_labels (plan_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels); END;
CREATE TRIGGER plan_labels_deleted AFTER DELETE ON tenants_plans WHEN OLD.labels <> '{}' BEGIN DELETE FROM plan_labels WHERE plan_id = OLD.id; END;

-- Dropping a view drops its trigger, too.
DROP VIEW create_tenant;
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env, external_id_is_taken, external_id, labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND (NEW.site_is_there IS NOT 1 OR NEW.may_adopt) AND NEW.external_id_is_taken IS NOT 1 BEGIN INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site, external_id, labels) VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1), NEW.external_id, coalesce(NEW.labels, '{}')); INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now); END;

DROP VIEW edit_tenant;
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled,
  sets_plan_id, plan_id, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels,
  labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0 BEGIN UPDATE tenants SET hostname = coalesce(NEW.hostname, hostname), is_enabled = coalesce(NEW.is_enabled, is_enabled), plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), external_id = iif(NEW.sets_external_id, NEW.external_id, external_id), labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels), updated_at = NEW.now WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now); END;

DROP VIEW create_plan;
CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 BEGIN INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at, external_id, labels) VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now, NEW.external_id, coalesce(NEW.labels, '{}')); INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now); END;

DROP VIEW edit_plan;
CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits,
  sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan WHEN NEW.key_stands AND NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0 BEGIN UPDATE tenants_plans SET name = coalesce(NEW.name, name), description = iif(NEW.sets_description, NEW.description, description), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), external_id = iif(NEW.sets_external_id, NEW.external_id, external_id), labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels), updated_at = NEW.now WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'plan.update', lower(NEW.id), NEW.request_id, NEW.now); END;
