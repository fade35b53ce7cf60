package tree

// Type is the type of an inode.
type Type uint8

// The seven types. Formats store these numbers, so they never change.
const (
	Directory Type = iota + 1
	Regular
	Symlink
	BlockDevice
	CharDevice
	FIFO
	Socket
)

// Xattr is one extended attribute. Name has its prefix: "user.", "trusted." or "security.".
type Xattr struct {
	Name  string
	Value []byte
}

// Attr has the attributes of an inode.
type Attr struct {
	Type    Type
	Mode    uint16 // permission, set-id and sticky bits (07777) and no others
	UID     uint32
	GID     uint32
	ModTime uint32 // seconds since 1970
	Target  string // symbolic links
	Major   uint32 // devices
	Minor   uint32
	Xattrs  []Xattr // sorted by name
}
