-- The writes of the API, one statement each. schema.sql explains the views, and has the triggers in a form that is easier to read. Here each
-- trigger is one line, because the API of D1 cuts the text of a migration at lines that end with a semicolon.

CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled,
  plan_id, limits, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there BEGIN INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at) VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now); INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled,
  sets_plan_id, plan_id, sets_limits, limits, sets_env, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there BEGIN UPDATE tenants SET hostname = coalesce(NEW.hostname, hostname), is_enabled = coalesce(NEW.is_enabled, is_enabled), plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), updated_at = NEW.now WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant WHEN NEW.key_stands AND NEW.id_is_there BEGIN DELETE FROM tenants WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan WHEN NEW.key_stands AND NOT NEW.id_is_there BEGIN INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at) VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now); INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits,
  sets_env, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan WHEN NEW.key_stands AND NEW.id_is_there BEGIN UPDATE tenants_plans SET name = coalesce(NEW.name, name), description = iif(NEW.sets_description, NEW.description, description), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), updated_at = NEW.now WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'plan.update', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE VIEW delete_plan (
  key_id, request_id, now, key_stands, id_is_there, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL;
-- The foreign key removes the plan from its tenants, too, but not every SQLite enforces it.
CREATE TRIGGER delete_plan_done INSTEAD OF INSERT ON delete_plan WHEN NEW.key_stands AND NEW.id_is_there BEGIN UPDATE tenants SET plan_id = NULL WHERE plan_id = NEW.id; DELETE FROM tenants_plans WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'plan.delete', lower(NEW.id), NEW.request_id, NEW.now); END;
