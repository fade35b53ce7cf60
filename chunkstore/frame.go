package chunkstore

// FrameMax is the most stored bytes that a frame of a chunk of size plain bytes can have.
func FrameMax(size int64) int64 { return size + 1 }

// EncodeFrame appends the frame of plain to dst: zstd at its best, or plain where
// that is no larger. Safe for concurrent use.
func EncodeFrame(dst, plain []byte) []byte { panic("unbuilt") }

// DecodeFrame appends the plain bytes of a frame to dst. They are checked against
// c.Size and c.ID, and no more than c.Size bytes are ever produced; every failure
// wraps [ErrCorrupt]. Safe for concurrent use.
func DecodeFrame(dst, frame []byte, c Chunk) ([]byte, error) { panic("unbuilt") }
