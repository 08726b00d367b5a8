/**
 * Descriptors in a manifest: the catalog's stored form with the modification time beside it, which
 * the catalog keeps as the row's commit time. Checked for what the chain's logic uses.
 */
import type { Timestamp } from '../base/timestamp.ts';
import type { Descriptor } from '../catalog/descriptor.ts';
import { descriptorFromJson as fromCatalog, descriptorToJson as toCatalog } from '../catalog/descriptorCodec.ts';

import type { JsonFields, JsonObject } from './jsonFields.ts';

export function descriptorToJson(descriptor: Descriptor): JsonObject {
  // A past that a restore brought is told by the backup that it came from.
  const { past: _past, ...stored } = toCatalog(descriptor) as JsonObject;
  return { ...stored, modificationTime: descriptor.modificationTime };
}

/** `fields` holds parsed JSON text, not what descriptorToJson returned. */
export function descriptorFromJson(fields: JsonFields): Descriptor {
  fields.integer('id');
  fields.integer('parentId');
  fields.string('name');
  fields.oneOf('kind', ['database', 'schema', 'table', 'type', 'function']);
  const { modificationTime: _beside, ...stored } = fields.raw;
  return fromCatalog(stored, fields.time('modificationTime') as Timestamp);
}
