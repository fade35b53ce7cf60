package deb

// Read is Open for a stream.
var Read = read
