/** The version of this build; test/tidy checks that package.json says the same. */
export const VERSION = '0.1.0';
