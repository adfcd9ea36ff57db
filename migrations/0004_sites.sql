-- Which tenants may have tables of their own. schema.sql explains the column and the view.

ALTER TABLE tenants ADD COLUMN has_site INTEGER NOT NULL DEFAULT 1 CHECK (has_site IN (0, 1));

DROP INDEX tenants_by_stats_turn;
CREATE INDEX tenants_by_stats_turn ON tenants (stats_turn_at) WHERE has_site = 1;

-- This drops the trigger, too.
DROP VIEW create_tenant;
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND (NEW.site_is_there IS NOT 1 OR NEW.may_adopt) BEGIN INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site) VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1)); INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE TRIGGER tenant_installed AFTER INSERT ON audit_log WHEN NEW.action = 'tenant.install' BEGIN UPDATE tenants SET has_site = 1, stats_turn_at = NULL WHERE id = NEW.subject; END;
