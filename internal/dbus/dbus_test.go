package dbus

import (
	"bytes"
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// TestCall has another library read the calls.
func TestCall(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"org.freedesktop.systemd1.Manager", "SystemState"}, {"a", "bc", "def"}} {
		b := encodeCall(7, "a.service", "/an/object", "an.interface", "Method", args)
		m, err := dbus.DecodeMessage(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != dbus.TypeMethodCall || m.Serial() != 7 || m.IsValid() != nil || len(m.Body) != len(args) {
			t.Errorf("%q: %v", args, m)
		}
		for i, arg := range args {
			if m.Body[i] != arg {
				t.Errorf("argument %d is %q, want %q", i, m.Body[i], arg)
			}
		}
		for field, want := range map[dbus.HeaderField]any{
			dbus.FieldDestination: "a.service", dbus.FieldPath: dbus.ObjectPath("/an/object"),
			dbus.FieldInterface: "an.interface", dbus.FieldMember: "Method",
		} {
			if got := m.Headers[field].Value(); got != want {
				t.Errorf("field %d is %v, want %v", field, got, want)
			}
		}
	}
}

// reply makes a message by another library.
func reply(t testing.TB, order binary.ByteOrder, kind dbus.Type, headers map[dbus.HeaderField]any, body ...any) []byte {
	m := &dbus.Message{Type: kind, Headers: map[dbus.HeaderField]dbus.Variant{}, Body: body}
	for field, value := range headers {
		m.Headers[field] = dbus.MakeVariant(value)
	}
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	var b bytes.Buffer
	if err := m.EncodeTo(&b, order); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestProperty asks a service whose messages another library makes: signals come between.
func TestProperty(t *testing.T) {
	answered := map[dbus.HeaderField]any{dbus.FieldReplySerial: uint32(1), dbus.FieldSender: ":1.0"}
	failed := map[dbus.HeaderField]any{dbus.FieldReplySerial: uint32(1), dbus.FieldErrorName: "org.freedesktop.DBus.Error.NoReply"}
	signal := map[dbus.HeaderField]any{dbus.FieldPath: dbus.ObjectPath("/a"), dbus.FieldInterface: "a.b", dbus.FieldMember: "C"}
	for name, c := range map[string]struct {
		kind    dbus.Type
		headers map[dbus.HeaderField]any
		body    []any
		want    string
		fails   string
	}{
		"state":       {dbus.TypeMethodReply, answered, []any{dbus.MakeVariant("running")}, "running", ""},
		"empty":       {dbus.TypeMethodReply, answered, []any{dbus.MakeVariant("")}, "", ""},
		"long":        {dbus.TypeMethodReply, answered, []any{dbus.MakeVariant(strings.Repeat("x", 60000))}, strings.Repeat("x", 60000), ""},
		"too long":    {dbus.TypeMethodReply, answered, []any{dbus.MakeVariant(strings.Repeat("x", sizeMax))}, "", "broken"},
		"a number":    {dbus.TypeMethodReply, answered, []any{dbus.MakeVariant(uint32(1))}, "", `type "u"`},
		"nothing":     {dbus.TypeMethodReply, answered, nil, "", "broken"},
		"an error":    {dbus.TypeError, failed, []any{"it says"}, "", "a.service answers org.freedesktop.DBus.Error.NoReply"},
		"it hangs up": {0, nil, nil, "", "EOF"},
	} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			t.Run(name+" "+order.String(), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "socket")
				l, err := net.Listen("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				go func() {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					defer conn.Close()
					conn.Write([]byte("OK 0123\r\n"))
					readCall(conn)
					conn.Write(reply(t, order, dbus.TypeSignal, signal, "text", uint64(1)))
					if c.kind != 0 {
						conn.Write(reply(t, order, c.kind, c.headers, c.body...))
					}
				}()
				conn, err := Dial(t.Context(), path, false)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				got, err := conn.Property(t.Context(), "a.service", "/a", "an.interface", "Name")
				if got != c.want || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
					t.Errorf("got %.40q, %v", got, err)
				}
			})
		}
	}
}

// readCall reads up to the last argument of the call.
func readCall(conn net.Conn) {
	var call []byte
	for b := make([]byte, 1000); !bytes.Contains(call, []byte("Name\x00")); {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		call = append(call, b[:n]...)
	}
}

// TestNotLetIn is refused by the other end.
func TestNotLetIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Write([]byte("REJECTED ANONYMOUS\r\n"))
			conn.Read(make([]byte, 1000))
			conn.Close()
		}
	}()
	if _, err := Dial(t.Context(), path, true); err == nil || !strings.Contains(err.Error(), "REJECTED") {
		t.Error(err)
	}
}

// FuzzReadMessage reads any message, and takes no more than a message may have.
func FuzzReadMessage(f *testing.F) {
	answered := map[dbus.HeaderField]any{dbus.FieldReplySerial: uint32(1), dbus.FieldSender: ":1.0"}
	f.Add(reply(f, binary.LittleEndian, dbus.TypeMethodReply, answered, dbus.MakeVariant("running")))
	f.Add(reply(f, binary.BigEndian, dbus.TypeMethodReply, answered, dbus.MakeVariant("starting")))
	f.Add(encodeCall(1, "a", "/", "b", "c", []string{"d"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMessage(bytes.NewReader(b))
		if err != nil {
			return
		}
		if s, err := m.variant(); err == nil && len(s) > len(b) {
			t.Errorf("%d bytes gave a string of %d", len(b), len(s))
		}
	})
}
