-- The tenant whose site a remembered request wrote, so that an erasure wipes it, too. schema.sql explains the column.

ALTER TABLE idempotency ADD COLUMN tenant_id TEXT;
CREATE INDEX idempotency_by_tenant ON idempotency (tenant_id) WHERE tenant_id IS NOT NULL;

DROP TRIGGER erase_tenant_done;
CREATE TRIGGER erase_tenant_done INSTEAD OF INSERT ON erase_tenant WHEN NEW.key_stands AND NOT NEW.is_refused BEGIN DELETE FROM idempotency WHERE secret IS NOT NULL AND lower(substr(secret, instr(secret, '@') + 1)) = 'tenants/' || lower(NEW.id); DELETE FROM idempotency WHERE tenant_id = lower(NEW.id); DELETE FROM idempotency WHERE job_id IN (SELECT id FROM cell_work WHERE tenant_id = NEW.id); UPDATE cell_work SET input = NULL WHERE tenant_id = NEW.id AND input IS NOT NULL; INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, has_site, cell_id, site_state) SELECT d.id, 'erased-' || lower(hex(randomblob(8))), 0, d.created_at, NEW.now, d.has_site, c.id, iif(c.id IS NULL, NULL, d.site_state) FROM deleted_tenants AS d LEFT JOIN cells AS c ON c.id = d.cell_id WHERE d.id = NEW.id AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = NEW.id); DELETE FROM deleted_tenants WHERE id = NEW.id; END;
