package rootfs

import "strings"

// parentOf gives the path of the folder of path, which must not be the root.
func parentOf(path string) string {
	return path[:max(strings.LastIndexByte(path, '/'), 0)]
}

// below reports whether path lies below the folder dir, at any depth.
func below(path, dir string) bool {
	if dir == "" {
		return path != ""
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}
