package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/internal/misspelt"
)

// MaxDefinition is the largest definition, in bytes.
const MaxDefinition = 1 << 20

// Position is a place in a file. Line and Column count from 1.
type Position struct {
	File         string
	Line, Column int
}

// String gives "file:line:column".
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Error is something wrong at a place.
type Error struct {
	Position
	Message string
}

func (e *Error) Error() string { return e.Position.String() + ": " + e.Message }

// Parse reads a definition that includes nothing. file is its name in
// messages. All that is wrong is reported together, each an *Error.
func Parse(file string, data []byte) (*Definition, error) {
	f, err := ParseFamily(file, data, nil)
	if err != nil {
		return nil, err
	}
	return f.Definition, nil
}

// document reads the one document of a file.
func document(file string, data []byte) (*yaml.Node, error) {
	if len(data) > MaxDefinition {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", file, len(data), MaxDefinition)
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	if err := dec.Decode(&doc); err != nil {
		return nil, yamlError(file, err)
	}
	if err := dec.Decode(new(yaml.Node)); err == nil {
		return nil, &Error{Position{file, 1, 1}, "more than one document"}
	}
	return doc.Content[0], nil
}

// yamlError gives a syntax error a place; yaml.v3 has it only in the text.
func yamlError(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if text == "EOF" {
		return &Error{Position{file, 1, 1}, "the file is empty"}
	}
	line := 1
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if n, message, ok := strings.Cut(rest, ": "); ok {
			if v, err := strconv.Atoi(n); err == nil {
				line, text = v, message
			}
		}
	}
	return &Error{Position{file, line, 1}, text}
}

// parser reads the layers of a definition, one over the other.
type parser struct {
	file     string // of the layer being read
	included bool   // the layer comes from an include
	load     Loader
	layers   []layer // in the order read
	variants variants
	errs     []error
}

func (p *parser) at(n *yaml.Node) Position { return Position{p.file, n.Line, n.Column} }

func (p *parser) fail(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, &Error{p.at(n), fmt.Sprintf(format, args...)})
}

// find returns the place of the value below a path of keys in the last layer
// that has it.
func (p *parser) find(keys []string) Position {
	for _, l := range slices.Backward(p.layers) {
		if n := below(l.node, keys); n != nil {
			return Position{l.file, n.Line, n.Column}
		}
	}
	if len(keys) > 0 {
		return p.find(keys[:len(keys)-1])
	}
	return Position{p.file, 1, 1}
}

func below(n *yaml.Node, keys []string) *yaml.Node {
	if len(keys) == 0 {
		return n
	}
	if v := valueOf(n, keys[0]); v != nil {
		return below(v, keys[1:])
	}
	return nil
}

// valueOf returns the value of a key in a mapping, or nil.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// fields maps a key to the function that reads its value.
type fields map[string]func(*yaml.Node)

func (p *parser) mapping(n *yaml.Node, what string, f fields) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "%s: want a mapping, have %s", what, kind(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		read, ok := f[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode:
			p.fail(k, "%s: a key must be plain text", what)
		case seen[k.Value]:
			p.fail(k, "%s: key %q appears twice", what, k.Value)
		case !ok:
			p.fail(k, "%s: unknown key %q%s", what, k.Value, suggest(k.Value, f))
		case v.Kind == yaml.AliasNode || v.Anchor != "":
			p.fail(v, "%s: anchors and aliases are not supported", what)
		default:
			read(v)
		}
		seen[k.Value] = true
	}
}

func (p *parser) definition(n *yaml.Node, d *Definition) {
	p.mapping(n, "definition", fields{
		"name":        p.text("name", &d.Name),
		"include":     func(*yaml.Node) {}, // read before everything else
		"variants":    func(n *yaml.Node) { p.readVariants(n) },
		"description": p.text("description", &d.Description),
		"debian": func(n *yaml.Node) {
			p.mapping(n, "debian", fields{
				"suite":    p.text("suite", &d.Debian.Suite),
				"snapshot": func(n *yaml.Node) { p.snapshot(n, &d.Debian.Snapshot) },
			})
		},
		"from":           func(n *yaml.Node) { p.from(n, d) },
		"packages":       func(n *yaml.Node) { p.packages(n, d) },
		"ignore-depends": p.added("ignore-depends", &d.IgnoreDepends, d),
		"drop":           p.added("drop", &d.Drop, d),
		"accounts":       func(n *yaml.Node) { p.mapping(n, "accounts", fields{"run-as": p.text("run-as", &d.Accounts.RunAs)}) },
		"probe":          func(n *yaml.Node) { p.probe(n, d) },
		"canary":         func(n *yaml.Node) { p.canary(n, d) },
		"platforms":      func(n *yaml.Node) { p.platforms(n, d) },
		"environment":    p.table("environment", &d.Environment),
		"entrypoint":     p.words("entrypoint", &d.Entrypoint),
		"cmd":            p.words("cmd", &d.Cmd),
		"workdir":        p.text("workdir", &d.WorkDir),
		"annotations":    p.table("annotations", &d.Annotations),
		"compat":         p.text("compat", &d.Compat),
		"bare":           p.flag("bare", &d.Bare),
		"layers":         p.number("layers", &d.Layers),
		"compression":    p.text("compression", &d.Compression),
		"debs":           func(n *yaml.Node) { p.debs(n, d) },
		"files":          func(n *yaml.Node) { p.files(n, d) },
		"exempt":         p.table("exempt", &d.Exempt),
		"fresh":          func(n *yaml.Node) { p.fresh(n, d) },
		"links":          p.table("links", &d.Links),
		"licenses": func(n *yaml.Node) {
			if d.Licenses == nil {
				d.Licenses = &Licenses{}
			}
			p.mapping(n, "licenses", fields{"allow": p.list("allow", &d.Licenses.Allow), "deny": p.list("deny", &d.Licenses.Deny)})
		},
	})
}

func (p *parser) probe(n *yaml.Node, d *Definition) {
	if off(n) {
		d.Probe = nil
		return
	}
	if d.Probe == nil {
		d.Probe = &Probe{TLS: true}
	}
	if on(n) {
		return
	}
	p.mapping(n, "probe", fields{
		"path":         p.text("path", &d.Probe.Path),
		"tls":          p.flag("tls", &d.Probe.TLS),
		"remote":       p.flag("remote", &d.Probe.Remote),
		"args":         p.words("args", &d.Probe.Args),
		"interval":     p.duration("interval", &d.Probe.Interval),
		"timeout":      p.duration("timeout", &d.Probe.Timeout),
		"start-period": p.duration("start-period", &d.Probe.StartPeriod),
		"retries":      p.number("retries", &d.Probe.Retries),
	})
}

func (p *parser) canary(n *yaml.Node, d *Definition) {
	if off(n) {
		d.Canary = nil
		return
	}
	if d.Canary == nil {
		d.Canary = &Canary{}
	}
	if on(n) {
		return
	}
	names := func(what string, to *[]string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			if n.Kind == yaml.ScalarNode { // decoys: default
				p.text(what, new(string))(n)
				*to = []string{n.Value}
				return
			}
			p.list(what, to)(n)
		}
	}
	p.mapping(n, "canary", fields{
		"decoys":    names("decoys", &d.Canary.Decoys),
		"tokens":    names("tokens", &d.Canary.Tokens),
		"on-trip":   p.text("on-trip", &d.Canary.OnTrip),
		"collector": p.text("collector", &d.Canary.Collector),
		"ca":        p.text("ca", &d.Canary.CA),
		"zone":      p.text("zone", &d.Canary.Zone),
		"owner":     p.text("owner", &d.Canary.Owner),
		"route":     p.text("route", &d.Canary.Route),
		"exclude":   p.list("exclude", &d.Canary.Exclude),
		"tier":      p.text("tier", &d.Canary.Tier),
		"pad":       p.number("pad", &d.Canary.Pad),
		"each":      func(n *yaml.Node) { p.each(n, d.Canary) },
		"guard":     func(n *yaml.Node) { p.guard(n, d) },
	})
}

// each reads the settings of decoys by name.
func (p *parser) each(n *yaml.Node, c *Canary) {
	c.Each = map[string]DecoySettings{}
	f := fields{}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		f[name] = func(n *yaml.Node) {
			var e DecoySettings
			p.mapping(n, name, fields{"path": p.text("path", &e.Path), "mode": p.text("mode", &e.Mode), "on-trip": p.text("on-trip", &e.OnTrip)})
			c.Each[name] = e
		}
	}
	p.mapping(n, "each", f)
}

func (p *parser) guard(n *yaml.Node, d *Definition) {
	if off(n) {
		return
	}
	g := &Guard{}
	d.Canary.Guard = g
	if on(n) {
		return
	}
	p.mapping(n, "guard", fields{
		"path":  p.text("path", &g.Path),
		"allow": p.list("allow", &g.Allow),
		"deny":  p.flag("deny", &g.Deny),
		"watch": p.list("watch", &g.Watch),
		"pipes": p.list("pipes", &g.Pipes),
	})
}

// fresh reads "true", which is no grace at all, or the grace.
func (p *parser) fresh(n *yaml.Node, d *Definition) {
	d.Fresh = nil
	if off(n) {
		return
	}
	var grace Duration
	if !on(n) {
		p.duration("fresh", &grace)(n)
		if grace < 0 {
			p.fail(n, "fresh: %s is negative", n.Value)
		}
	}
	d.Fresh = &grace
}

func off(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Value == "false"
}

func on(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Value == "true"
}

// packages sorts "!name" entries into Deny.
func (p *parser) packages(n *yaml.Node, d *Definition) {
	var all []string
	p.list("packages", &all)(n)
	for i, s := range all {
		name, denied := strings.CutPrefix(s, "!")
		plain, _, _ := strings.Cut(name, " ")
		if !validPackage(plain) || denied && plain != name {
			p.fail(n.Content[i], "packages: bad package %q", s)
			continue
		}
		list := &d.Packages
		if denied {
			list = &d.Deny
		}
		if !slices.Contains(*list, name) { // an included definition may have it too
			*list = append(*list, name)
		}
	}
	slices.Sort(d.Deny)
}

func validPackage(s string) bool {
	ok := len(s) >= 2
	for i, c := range s {
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		ok = ok && (alnum || i > 0 && strings.ContainsRune("+-.", c))
	}
	return ok
}

func (p *parser) platforms(n *yaml.Node, d *Definition) {
	var all []string
	p.list("platforms", &all)(n)
	d.Platforms = nil
	for i, s := range all {
		v, err := ParsePlatform(s)
		if err != nil {
			p.fail(n.Content[i], "platforms: %v", err)
			continue
		}
		if slices.Contains(d.Platforms, v) {
			p.fail(n.Content[i], "platforms: %s is listed already", v)
			continue
		}
		d.Platforms = append(d.Platforms, v)
	}
}

// suggest finds the known key nearest to a misspelt one.
func suggest(key string, f fields) string {
	best, distance := "", 3
	for name := range f {
		if d := misspelt.Distance(key, name); d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// files reads the list of files of one's own; a later layer's replaces an
// earlier one's.
func (p *parser) files(n *yaml.Node, d *Definition) {
	if n.Kind != yaml.SequenceNode {
		p.fail(n, "files: want a list, have %s", kind(n))
		return
	}
	d.Files = nil
	for _, item := range n.Content {
		f := File{Mode: 0o644}
		p.mapping(item, "files", fields{
			"path": p.text("path", &f.Path), "source": p.text("source", &f.Source), "sha256": p.text("sha256", &f.SHA256),
			"owner": p.text("owner", &f.Owner), "license": p.text("license", &f.License),
			"mode": func(n *yaml.Node) { p.mode(n, &f.Mode) },
		})
		d.Files = append(d.Files, f)
	}
}
