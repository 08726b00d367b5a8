/** The version of this build; test/tidy checks that package.json says the same. */
export const VERSION = '0.1.0';
/** The version of CockroachDB that this build counts as, where versions are compared. */
export const CLUSTER_VERSION = '21.1';
