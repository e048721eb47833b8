package spec

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

func (p *parser) text(what string, to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			p.fail(n, "%s: want text, have %s", what, kind(n))
			return
		}
		if strings.ContainsRune(n.Value, 0) {
			p.fail(n, "%s: NUL character", what)
		}
		*to = n.Value
	}
}

// list reads a sequence of texts without repetition; words one with.
func (p *parser) list(what string, to *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.words(what, to)(n)
		seen := map[string]int{}
		for _, item := range n.Content {
			if line, dup := seen[item.Value]; dup && n.Kind == yaml.SequenceNode {
				p.fail(item, "%s: %q stands on line %d already", what, item.Value, line)
			}
			seen[item.Value] = item.Line
		}
	}
}

func (p *parser) words(what string, to *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			p.fail(n, "%s: want a list, have %s", what, kind(n))
			return
		}
		*to = nil
		for _, item := range n.Content {
			var s string
			p.text(what, &s)(item)
			*to = append(*to, s)
		}
	}
}

func (p *parser) table(what string, to *map[string]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			p.fail(n, "%s: want a mapping, have %s", what, kind(n))
			return
		}
		m := map[string]string{}
		f := fields{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			f[key] = func(n *yaml.Node) {
				var s string
				p.text(what+"."+key, &s)(n)
				m[key] = s
			}
		}
		p.mapping(n, what, f)
		if *to == nil {
			*to = map[string]string{}
		}
		maps.Copy(*to, m)
	}
}

func (p *parser) flag(what string, to *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if !on(n) && !off(n) {
			p.fail(n, "%s: want true or false, have %s", what, kind(n))
			return
		}
		*to = on(n)
	}
}

func (p *parser) number(what string, to *int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil {
			p.fail(n, "%s: want a whole number, have %s", what, kind(n))
			return
		}
		*to = v
	}
}

func (p *parser) duration(what string, to *Duration) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			p.fail(n, `%s: want a duration such as "30s", have %s`, what, kind(n))
			return
		}
		*to = Duration(v)
	}
}

func (p *parser) snapshot(n *yaml.Node, to *time.Time) {
	v, err := time.Parse("20060102T150405Z", n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		p.fail(n, `snapshot: want a timestamp such as 20261115T000000Z, have %s`, kind(n))
		return
	}
	*to = v
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "the truth value " + n.Value
	case "!!int", "!!float":
		return "the number " + n.Value
	}
	return strconv.Quote(n.Value)
}

// mode reads permission bits, as chmod(1) does.
func (p *parser) mode(n *yaml.Node, to *uint32) {
	v, err := strconv.ParseUint(strings.TrimPrefix(n.Value, "0o"), 8, 16)
	if n.Kind != yaml.ScalarNode || err != nil {
		p.fail(n, "mode: want octal digits such as 0755, have %q", n.Value)
		return
	}
	*to = uint32(v)
}
