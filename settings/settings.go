// Package settings keeps what a machine's owner changed, through images, with a history.
//
// A machine runs from an image that never changes. Above its /etc lies an overlay, whose upper
// folder is in the store on the data partition, so a change is durable when its writer's fsync says
// so. At each boot, Boot commits the listed changes as a generation, merges them with the defaults
// of the image that boots, and lays a fresh upper folder. Package list says what is listed; formats
// and rules are in doc/settings.md.
//
// The store is a folder that only root may enter. It is hostile until checked: whoever had the
// medium in his hands can have put anything there. So nothing in it is followed out of it, each
// generation and object is verified by its hash, and sizes are bounded.
package settings
