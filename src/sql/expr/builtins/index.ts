/** The builtin functions as one registry, made at the first use and then shared. */
import { FunctionRegistry } from '../registry.ts';
import { advisoryFunctions } from './advisory.ts';
import { aggregateFunctions } from './aggregates.ts';
import { arrayFunctions } from './array.ts';
import { bucketFunctions } from './buckets.ts';
import { bytesFunctions } from './bytes.ts';
import { conditionalFunctions } from './conditional.ts';
import { dateFunctions } from './date.ts';
import { enumFunctions } from './enum.ts';
import { fuzzyFunctions } from './fuzzy.ts';
import { generatorFunctions } from './generators.ts';
import { inetFunctions } from './inet.ts';
import { invertedFunctions } from './inverted.ts';
import { jsonFunctions } from './json.ts';
import { mathFunctions } from './math.ts';
import { patternFunctions } from './patterns.ts';
import { pgCompatFunctions } from './pgCompat.ts';
import { pgServerFunctions, pgServerGenerators } from './pgServer.ts';
import { privilegeFunctions } from './privileges.ts';
import { regexpFunctions } from './regexp.ts';
import { regionFunctions } from './regions.ts';
import { sequenceFunctions } from './sequence.ts';
import { statisticsFunctions } from './statistics.ts';
import { stringFunctions } from './string.ts';
import { systemFunctions } from './system.ts';
import { windowFunctions } from './window.ts';

let shared: FunctionRegistry | undefined;

/** The shared registry. Register functions in a child of it: new FunctionRegistry(builtinFunctions()). */
export function builtinFunctions(): FunctionRegistry {
  if (shared) return shared;
  const registry = new FunctionRegistry();
  registry.register(
    ...stringFunctions,
    ...regexpFunctions,
    ...bytesFunctions,
    ...fuzzyFunctions,
    ...mathFunctions,
    ...dateFunctions,
    ...patternFunctions,
    ...jsonFunctions,
    ...invertedFunctions,
    ...bucketFunctions,
    ...inetFunctions,
    ...arrayFunctions,
    ...enumFunctions,
    ...conditionalFunctions,
    ...systemFunctions,
    ...regionFunctions,
    ...sequenceFunctions,
    ...pgCompatFunctions,
    ...pgServerFunctions,
    ...privilegeFunctions,
    ...advisoryFunctions,
  );
  registry.registerAggregate(...aggregateFunctions, ...statisticsFunctions);
  registry.registerGenerator(...generatorFunctions, ...pgServerGenerators);
  registry.registerWindow(...windowFunctions);
  shared = registry;
  return registry;
}
