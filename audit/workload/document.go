package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/audit"
)

// What a document may be at most. Aliases count as often as they are used.
const (
	maxDocuments = 1000
	maxNodes     = 500_000
	maxDepth     = 100
)

// document is one YAML or JSON document with the lines of its parts.
type document struct {
	node  *yaml.Node // nil where the lines of parts are not known
	line  int        // of a docker run command, which is all there is to point at
	value any
}

// parse reads all documents of a file. old says that yes and on are booleans,
// as in YAML 1.1.
func parse(data []byte, old bool) ([]*document, error) {
	var list []*document
	dec := yaml.NewDecoder(bytes.NewReader(data))
	left := maxNodes
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return onlyJSON(data, err)
		}
		if len(list) == maxDocuments {
			return nil, fmt.Errorf("more than %d documents", maxDocuments)
		}
		if len(n.Content) == 0 {
			continue
		}
		r := reader{old: old, left: &left}
		v, err := r.value(n.Content[0], 0)
		if err != nil {
			return nil, err
		}
		if v != nil {
			list = append(list, &document{node: n.Content[0], value: v})
		}
	}
}

// onlyJSON reads what is JSON and no YAML, such as pairs of surrogates; its
// lines are then not known.
func onlyJSON(data []byte, cause error) ([]*document, error) {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, cause
	}
	return []*document{{value: v}}, nil
}

// reader turns nodes into values as encoding/json has them.
type reader struct {
	old  bool
	left *int
}

var errLarge = fmt.Errorf("more than %d values, aliases counted where they are used", maxNodes)

func (r reader) value(n *yaml.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: deeper than %d", n.Line, maxDepth)
	}
	if *r.left--; *r.left < 0 {
		return nil, errLarge
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.MappingNode:
		return r.mapping(n, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := r.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.ScalarNode:
		return r.scalar(n)
	}
	return nil, errors.New("a node of no known kind")
}

func (r reader) mapping(n *yaml.Node, depth int) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	own := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		v, err := r.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if k.Tag == "!!merge" {
			merge(m, own, v)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key that is no text", k.Line)
		}
		if own[k.Value] {
			return nil, fmt.Errorf("line %d: the key %s stands twice", k.Line, strconv.Quote(shorten(k.Value)))
		}
		own[k.Value], m[k.Value] = true, v
	}
	return m, nil
}

// merge puts in what a mapping does not say itself.
func merge(m map[string]any, own map[string]bool, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if _, have := m[k]; !have && !own[k] {
				m[k] = x
			}
		}
	case []any:
		for _, x := range v {
			if _, ok := x.(map[string]any); ok {
				merge(m, own, x)
			}
		}
	}
}

func (r reader) scalar(n *yaml.Node) (any, error) {
	if r.old && n.Style == 0 && n.Tag == "!!str" {
		switch strings.ToLower(n.Value) {
		case "yes", "on":
			return true, nil
		case "no", "off":
			return false, nil
		}
	}
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, err
		}
		if f, ok := v.(float64); ok && (f != f || f > 1e300 || f < -1e300) {
			return n.Value, nil
		}
		return v, nil
	}
	return n.Value, nil
}

// locate finds the lines of a pointer, or of the nearest parent that is there.
func (d *document) locate(path, pointer string) audit.Locator {
	l := audit.Locator{Path: path, Pointer: pointer}
	if d != nil && d.line > 0 {
		l.StartLine, l.EndLine = d.line, d.line
	}
	if d == nil || d.node == nil {
		return l
	}
	n := d.node
	l.StartLine = n.Line
	parts := strings.Split(pointer, "/")
	for i := min(1, len(parts)-1); i < len(parts); i++ {
		part := parts[i]
		key, next := child(n, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		if next == nil {
			break
		}
		n = next
		l.StartLine = n.Line
		if key != nil {
			l.StartLine = key.Line
			parts[i] = escape(key.Value)
		}
	}
	l.Pointer = strings.Join(parts, "/")
	l.EndLine = l.StartLine
	return l
}

func child(n *yaml.Node, part string) (key, value *yaml.Node) {
	for range maxDepth {
		if n.Kind != yaml.AliasNode {
			break
		}
		n = n.Alias
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.Content) {
			return nil, n.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i], n.Content[i+1]
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 { // CloudFormation begins names with capitals, and a misspelled one is worth pointing at
			if strings.EqualFold(n.Content[i].Value, part) {
				return n.Content[i], n.Content[i+1]
			}
		}
	}
	return nil, nil
}

// decode turns a value into a Go type by way of JSON.
func decode(v, into any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

func array(v any) []any { l, _ := v.([]any); return l }

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// escape writes a key for a JSON pointer, RFC 6901.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
