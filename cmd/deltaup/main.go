// Command deltaup makes, publishes and pulls squashfs images.
package main

func main() {}
