-- Finds the deleted tenants that need a cell, which is not deleted as long as they can be brought back.

CREATE INDEX deleted_tenants_by_cell ON deleted_tenants (cell_id COLLATE NOCASE) WHERE cell_id IS NOT NULL;
