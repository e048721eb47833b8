package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Limits on what one definition may draw in.
const (
	maxIncludes = 64
	maxDepth    = 8
	maxVariants = 32
)

// Loader finds what "include" names. from is the file that includes it. It
// returns the included file's name, in messages and for its own includes.
type Loader func(from, name string) (file string, data []byte, err error)

// Family is a definition with its variants: the same image with changes.
type Family struct {
	*Definition
	Variants []Variant // in the order in which they are written
}

// Variant is one of a family. Its image is called NAME-VARIANT.
type Variant struct {
	Name string // such as "debug"
	*Definition
}

// Variant returns a variant's definition; the empty name is the plain one.
func (f *Family) Variant(name string) (*Definition, bool) {
	if name == "" {
		return f.Definition, true
	}
	i := slices.IndexFunc(f.Variants, func(v Variant) bool { return v.Name == name })
	if i < 0 {
		return nil, false
	}
	return f.Variants[i].Definition, true
}

// LockName returns the name of the variant whose lock a variant uses: the
// first with the same packages. The plain definition's is "".
func (f *Family) LockName(name string) string {
	d, ok := f.Variant(name)
	if !ok {
		return name
	}
	want := string(d.LockInput())
	if string(f.LockInput()) == want {
		return ""
	}
	for _, v := range f.Variants {
		if string(v.LockInput()) == want {
			return v.Name
		}
	}
	return name
}

// layer is one document, or one variant's changes, and the file it is in.
type layer struct {
	file     string
	node     *yaml.Node
	included bool
}

// variants are the changes of each variant, by its name.
type variants struct {
	order  []string
	layers map[string][]layer
}

// ParseFamily reads a definition with what it includes and its variants. load
// finds the includes; nil refuses them. All that is wrong is reported
// together, each an *Error.
func ParseFamily(file string, data []byte, load Loader) (*Family, error) {
	root, err := document(file, data)
	if err != nil {
		return nil, err
	}
	base := &parser{file: file, load: load, variants: variants{layers: map[string][]layer{}}}
	base.collect(layer{file: file, node: root}, nil)
	d, err := base.apply(base.layers)
	if err != nil {
		return nil, err
	}
	f := &Family{Definition: d}
	for _, name := range base.variants.order {
		v, err := base.variant(d, name)
		if err != nil {
			return nil, err
		}
		for _, pkg := range v.Packages {
			if !slices.Contains(d.Packages, pkg) {
				v.Added = append(v.Added, pkg)
			}
		}
		f.Variants = append(f.Variants, Variant{name, v})
	}
	return f, nil
}

// apply reads layers one over the other and checks the result.
func (p *parser) apply(layers []layer) (*Definition, error) {
	d := &Definition{}
	for _, l := range layers {
		p.file, p.included = l.file, l.included
		name, description := d.Name, d.Description
		p.definition(l.node, d)
		if l.included {
			d.Name, d.Description = name, description
		}
	}
	if err := errors.Join(p.errs...); err != nil {
		return nil, err
	}
	return d, d.finish(func(keys ...string) Position { return p.find(keys) })
}

// collect puts what a layer includes before it.
func (p *parser) collect(l layer, chain []string) {
	p.file = l.file
	if n := valueOf(l.node, "include"); n != nil {
		var names []string
		read := p.list("include", &names)
		if n.Kind == yaml.ScalarNode {
			var one string
			p.text("include", &one)(n)
			names = []string{one}
		} else {
			read(n)
		}
		for _, name := range names {
			p.include(l, n, name, append(slices.Clone(chain), l.file))
		}
	}
	p.layers = append(p.layers, l)
}

func (p *parser) include(from layer, at *yaml.Node, name string, chain []string) {
	p.file = from.file
	switch {
	case p.load == nil:
		p.fail(at, "include: nothing can be included here")
		return
	case len(chain) > maxDepth || len(p.layers) >= maxIncludes:
		p.fail(at, "include: more than %d files, or %d one in the other", maxIncludes, maxDepth)
		return
	}
	file, data, err := p.load(from.file, name)
	if err != nil {
		p.fail(at, "include %q: %v", name, err)
		return
	}
	if slices.Contains(chain, file) {
		p.fail(at, "include %q: it includes itself, by way of %s", name, strings.Join(chain, ", "))
		return
	}
	if slices.ContainsFunc(p.layers, func(l layer) bool { return l.file == file }) {
		return // two includes share it
	}
	root, err := document(file, data)
	if err != nil {
		p.errs = append(p.errs, err)
		return
	}
	p.collect(layer{file: file, node: root, included: true}, chain)
}

// readVariants notes each variant's changes; those of an included definition
// come before those of the including one.
func (p *parser) readVariants(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "variants: want a mapping, have %s", kind(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		switch {
		case !ValidImageName(name):
			p.fail(n.Content[i], "variants: bad name %q: use lower-case letters, digits and single '-', '_' or '.' between them", name)
			continue
		case len(p.variants.order) >= maxVariants:
			p.fail(n.Content[i], "variants: more than %d", maxVariants)
			return
		}
		if !slices.Contains(p.variants.order, name) {
			p.variants.order = append(p.variants.order, name)
		}
		for _, l := range p.variants.layers[name] {
			if l.node == n.Content[i+1] {
				continue
			}
			if l.file == p.file {
				p.fail(n.Content[i], "variants: %q appears twice", name)
			}
		}
		p.variants.layers[name] = append(p.variants.layers[name], layer{file: p.file, node: n.Content[i+1], included: p.included})
	}
}

// variant reads the plain layers and a variant's changes over them.
func (p *parser) variant(plain *Definition, name string) (*Definition, error) {
	v := &parser{file: p.file, load: p.load, layers: slices.Clone(p.layers), variants: variants{layers: map[string][]layer{}}}
	changes := p.changes(v, name, nil, map[string]bool{})
	if err := errors.Join(v.errs...); err != nil {
		return nil, err
	}
	var described []string
	for _, c := range changes {
		for _, key := range []string{"name", "variants"} {
			if n := valueOf(c.node, key); n != nil {
				v.file = c.file
				v.fail(n, "variant %q: a variant has no %q", name, key)
			}
		}
		before := len(v.layers)
		v.collect(c, nil)
		for i := before; i < len(v.layers); i++ {
			v.layers[i].included = true // for the name and the description
		}
		if n := valueOf(c.node, "description"); n != nil {
			described = append(described, n.Value)
		}
	}
	all := v.layers
	d, err := v.apply(all)
	if err != nil {
		return nil, fmt.Errorf("variant %q: %w", name, err)
	}
	d.Name = plain.Name + "-" + name
	if !ValidImageName(d.Name) {
		return nil, fmt.Errorf("variant %q: the name %q is too long", name, d.Name)
	}
	d.Description = strings.Join(append([]string{plain.Description}, described...), "; ")
	return d, nil
}

// changes gives the layers of a variant, which is a mapping of changes or a
// list of other variants. Each other variant counts once.
func (p *parser) changes(v *parser, name string, chain []string, done map[string]bool) []layer {
	if done[name] {
		return nil
	}
	done[name] = true
	var list []layer
	for _, l := range p.variants.layers[name] {
		v.file = l.file
		if l.node.Kind != yaml.SequenceNode {
			list = append(list, l)
			continue
		}
		var names []string
		v.list("variants", &names)(l.node)
		for _, other := range names {
			if p.variants.layers[other] == nil || slices.Contains(append(chain, name), other) {
				v.fail(l.node, "variant %q: there is no other variant %q", name, other)
				continue
			}
			list = append(list, p.changes(v, other, append(slices.Clone(chain), name), done)...)
		}
	}
	return list
}

// added reads a list whose entries come on top of included ones.
func (p *parser) added(what string, to *[]string, d *Definition) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var all []string
		p.list(what, &all)(n)
		for _, s := range all {
			if !slices.Contains(*to, s) {
				*to = append(*to, s)
				if p.included {
					d.share(s)
				}
			}
		}
	}
}

func (d *Definition) share(entry string) {
	if d.Shared == nil {
		d.Shared = map[string]bool{}
	}
	d.Shared[entry] = true
}
