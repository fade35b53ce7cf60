package config

import (
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A field takes a value of the file over into the configuration. Its error is a mistake.
type field func(key string, n *node) error

// fields are the members that a table may have, by name.
type fields map[string]field

// fields says what the file may have. The library that decodes into structures by reflection makes
// the command for targets 0.2 MB larger.
func (c *Config) fields() fields {
	servers := c.http.fields()
	servers["host"] = func(key string, n *node) error {
		return n.eachMember(key, func(key string, m *node) error {
			var h HTTP
			if err := m.decode(key, h.fields()); err != nil {
				return err
			}
			if c.http.host == nil {
				c.http.host = map[string]HTTP{}
			}
			c.http.host[m.name] = h
			return nil
		})
	}
	return fields{
		"mirrors":        texts(&c.Mirrors),
		"channel":        text(&c.Channel),
		"compatible":     text(&c.Compatible),
		"accept_expired": text(&c.AcceptExpired),
		"state":          text(&c.State),
		"boot": members(fields{
			"loader":   text(&c.Boot.Loader),
			"grubenv":  text(&c.Boot.Grubenv),
			"attempts": number(&c.Boot.Attempts),
			"args":     text(&c.Boot.args),
			"data":     text(&c.Boot.Data),
		}),
		"slot": func(key string, n *node) error {
			return n.each(key, func(element *node) error {
				var s Slot
				err := element.decode(key, fields{
					"name":  text(&s.Name),
					"path":  text(&s.Path),
					"boot":  text(&s.Boot),
					"image": text(&s.Image),
				})
				c.Slots = append(c.Slots, s)
				return err
			})
		},
		"http": members(servers),
	}
}

func (h *HTTP) fields() fields {
	return fields{
		"proxy":            text(&h.Proxy),
		"ca_file":          text(&h.CAFile),
		"certificate_file": text(&h.CertificateFile),
		"key_file":         text(&h.KeyFile),
		"bearer_file":      text(&h.BearerFile),
		"header_file":      text(&h.HeaderFile),
	}
}

func text[T ~string](to *T) field {
	return func(key string, n *node) error {
		if n.kind != unstable.String {
			return n.unfit(key)
		}
		*to = T(n.text)
		return nil
	}
}

func texts(to *[]string) field {
	return func(key string, n *node) error {
		*to = nil
		return n.each(key, func(element *node) error {
			*to = append(*to, "")
			return text(&(*to)[len(*to)-1])(key, element)
		})
	}
}

func number(to *int) field {
	return func(key string, n *node) error {
		if n.kind != unstable.Integer {
			return n.unfit(key)
		}
		i, err := strconv.ParseInt(n.text, 0, 0)
		digits := strings.TrimLeft(n.text, "+-")
		octal := len(digits) > 1 && digits[0] == '0' && digits[1] < 'A' // to Go, and not to TOML
		if err != nil || octal {
			return &mistake{n.offset, key, strconv.Quote(n.text) + " is no integer"}
		}
		*to = int(i)
		return nil
	}
}

func members(of fields) field {
	return func(key string, n *node) error { return n.decode(key, of) }
}

// decode takes the members of a table over. The case of their names does not count. A member that
// is not among the fields is a mistake.
func (n *node) decode(key string, to fields) error {
	return n.eachMember(key, func(key string, m *node) error {
		take := to[strings.ToLower(m.name)]
		if take == nil {
			return &mistake{m.offset, key, "unknown key"}
		}
		return take(key, m)
	})
}

// eachMember calls f with the members of a table and their dotted keys.
func (n *node) eachMember(key string, f func(key string, m *node) error) error {
	if n.kind != unstable.Table {
		return n.unfit(key)
	}
	for _, m := range n.list {
		if err := f(strings.TrimPrefix(key+"."+m.name, "."), m); err != nil {
			return err
		}
	}
	return nil
}

// each calls f with the elements of an array.
func (n *node) each(key string, f func(element *node) error) error {
	if n.kind != unstable.Array {
		return n.unfit(key)
	}
	for _, element := range n.list {
		if err := f(element); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) unfit(key string) error {
	return &mistake{n.offset, key, "does not take a TOML " + strings.ToLower(n.kind.String())}
}
