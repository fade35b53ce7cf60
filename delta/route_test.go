package delta

// What routes are called in these tests.
const (
	routePatch  Route = "patch"
	routeChunks Route = "chunks"
	routeBlocks Route = "blocks"
	routeWhole  Route = "whole"
)
