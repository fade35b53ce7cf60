package dbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Types of messages, and fields of their headers.
const (
	typeCall  = 1
	typeReply = 2
	typeError = 3

	fieldPath        = 1
	fieldInterface   = 2
	fieldMember      = 3
	fieldErrorName   = 4
	fieldReplySerial = 5
	fieldDestination = 6
	fieldSignature   = 8
)

// sizeMax bounds the header and the body of a message that is read, in bytes. Those that come here
// have some hundred.
const sizeMax = 64 << 10

var errMessage = errors.New("D-Bus: a broken message")

// writer builds a message, whose numbers lie at multiples of their sizes.
type writer []byte

func (w *writer) align(n int) {
	for len(*w)%n != 0 {
		*w = append(*w, 0)
	}
}

func (w *writer) number(n uint32) {
	w.align(4)
	*w = binary.LittleEndian.AppendUint32(*w, n)
}

func (w *writer) string(s string) {
	w.number(uint32(len(s)))
	*w = append(append(*w, s...), 0)
}

func (w *writer) signature(s string) { *w = append(append(append(*w, byte(len(s))), s...), 0) }

// encodeCall makes the message of a call whose arguments are strings.
func encodeCall(serial uint32, service, path, iface, method string, args []string) []byte {
	var body writer
	signature := ""
	for _, arg := range args {
		body.string(arg)
		signature += "s"
	}
	var fields writer
	field := func(code byte, kind string, put func(string), value string) {
		fields.align(8)
		fields = append(fields, code)
		fields.signature(kind)
		put(value)
	}
	field(fieldPath, "o", fields.string, path)
	field(fieldInterface, "s", fields.string, iface)
	field(fieldMember, "s", fields.string, method)
	field(fieldDestination, "s", fields.string, service)
	if signature != "" {
		field(fieldSignature, "g", fields.signature, signature)
	}
	w := writer{'l', typeCall, 0, 1}
	w.number(uint32(len(body)))
	w.number(serial)
	w.number(uint32(len(fields)))
	w = append(w, fields...) // they begin at byte 16
	w.align(8)
	return append(w, body...)
}

// message is what a message has that matters here.
type message struct {
	kind      byte
	replyTo   uint32
	errorName string
	body      reader
}

// readMessage reads the next message.
func readMessage(in io.Reader) (*message, error) {
	var fixed [16]byte
	if _, err := io.ReadFull(in, fixed[:]); err != nil {
		return nil, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch fixed[0] {
	case 'l':
	case 'B':
		order = binary.BigEndian
	default:
		return nil, errMessage
	}
	bodySize, fieldsSize := order.Uint32(fixed[4:]), order.Uint32(fixed[12:])
	if fixed[3] != 1 || bodySize > sizeMax || fieldsSize > sizeMax {
		return nil, errMessage
	}
	rest := make([]byte, (fieldsSize+7)&^7+bodySize)
	if _, err := io.ReadFull(in, rest); err != nil {
		return nil, err
	}
	m := &message{
		kind: fixed[1],
		body: reader{b: rest[len(rest)-int(bodySize):], order: order},
	}
	return m, m.readFields(reader{b: rest[:fieldsSize], order: order})
}

// readFields reads the fields of a header, which begin at a multiple of 8.
func (m *message) readFields(r reader) error {
	for r.at < len(r.b) {
		r.align(8)
		code := r.byte()
		switch kind := r.signature(); kind {
		case "s", "o":
			if s := r.string(); code == fieldErrorName {
				m.errorName = s
			}
		case "g":
			r.signature()
		case "u":
			if n := r.number(); code == fieldReplySerial {
				m.replyTo = n
			}
		default:
			return fmt.Errorf("D-Bus: a field of type %q", kind)
		}
		if r.broken {
			return errMessage
		}
	}
	return nil
}

// variant gives the variant that is the body, which has to be a string.
func (m *message) variant() (string, error) {
	r := m.body
	if kind := r.signature(); !r.broken && kind != "s" {
		return "", fmt.Errorf("D-Bus: a property of type %q", kind)
	}
	s := r.string()
	if r.broken {
		return "", errMessage
	}
	return s, nil
}

// reader takes values apart. At the first that is cut short it is broken, and gives zeros.
type reader struct {
	b      []byte
	at     int
	order  binary.ByteOrder
	broken bool
}

// take gives the next n bytes.
func (r *reader) take(n int) []byte {
	if r.broken || n > len(r.b)-r.at {
		r.broken = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) align(n int) { r.take(-r.at & (n - 1)) }

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) number() uint32 {
	r.align(4)
	if b := r.take(4); b != nil {
		return r.order.Uint32(b)
	}
	return 0
}

func (r *reader) string() string {
	n := r.number()
	if n > sizeMax {
		r.broken = true
	}
	s := string(r.take(int(n & (2*sizeMax - 1))))
	r.take(1)
	return s
}

func (r *reader) signature() string {
	s := string(r.take(int(r.byte())))
	r.take(1)
	return s
}
