package chunkstore

// Params says how contents are cut; all in bytes. It is part of a recipe.
type Params struct{ Min, Average, Max int }
