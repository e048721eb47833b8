// Package license reads the copyright files of Debian packages: the licences
// they name, and those names in SPDX's terms. It knows texts only, and judges
// nothing.
//
// Format: Machine-readable debian/copyright file, version 1.0
// (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
package license

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// MaxFile is the most of a copyright file that is read, in bytes.
const MaxFile = 8 << 20

// Unknown is the name of what a file does not say in machine-readable form.
const Unknown = "unknown"

// Info is what a copyright file says.
type Info struct {
	// Names are the short names of all licences mentioned, sorted. A file in
	// prose has Unknown and the common licences that it refers to.
	Names []string `json:"names"`
	// Expression is an SPDX expression that covers the whole package, or empty
	// for a file in prose. Licences that SPDX does not list are LicenseRefs.
	Expression string `json:"expression,omitempty"`
}

// maxNames bounds the licences of one file.
const maxNames = 1000

var common = regexp.MustCompile(`/usr/share/common-licenses/([A-Za-z][A-Za-z0-9.+-]*[A-Za-z0-9])`)

// Parse reads a copyright file. It never fails: what cannot be read is Unknown.
func Parse(data []byte) Info {
	data = data[:min(len(data), MaxFile)]
	if !machineReadable(data) {
		return prose(data)
	}
	names, expressions := map[string]bool{}, map[string]bool{}
	first := true // paragraph, which describes the whole
	field := func(text string) {
		e := parse(text)
		if e == nil {
			return
		}
		for _, term := range e.terms() {
			expressions[term.spdx()] = true
		}
		for _, n := range e.all() {
			names[n] = true
		}
	}
	paragraph := map[string]string{}
	flush := func() {
		l, ok := paragraph["license"]
		// A paragraph with only a licence gives the text of one named elsewhere.
		if ok && (first || paragraph["files"] != "") && len(names) < maxNames {
			field(l)
		}
		if len(paragraph) > 0 {
			first = false
		}
		clear(paragraph)
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n \t")
		switch {
		case text == "":
			flush()
		case text[0] == ' ' || text[0] == '\t' || text[0] == '#':
			// Further lines of a field; of License, they are its text.
		default:
			key, value, _ := strings.Cut(text, ":")
			key = strings.ToLower(key)
			if value = strings.TrimSpace(value); value == "" {
				value = "-" // it goes on below
			}
			paragraph[key] = value
		}
	}
	flush()
	if len(names) == 0 {
		return prose(data)
	}
	list := slices.Sorted(maps.Keys(expressions))
	if len(list) > 1 {
		for i, e := range list {
			if strings.Contains(e, " OR ") {
				list[i] = "(" + e + ")"
			}
		}
	}
	return Info{slices.Sorted(maps.Keys(names)), strings.Join(list, " AND ")}
}

// machineReadable looks for the Format field of the first paragraph.
func machineReadable(data []byte) bool {
	for line := range bytes.Lines(data) {
		text := strings.ToLower(strings.TrimSpace(string(line)))
		if rest, ok := strings.CutPrefix(text, "format"); ok {
			return strings.Contains(rest, "copyright-format") || strings.Contains(rest, "dep5") || strings.Contains(rest, "dep-5")
		}
		if text == "" {
			return false
		}
	}
	return false
}

// prose finds the common licences that a text refers to.
func prose(data []byte) Info {
	names := map[string]bool{Unknown: true}
	for _, m := range common.FindAllSubmatch(data, maxNames) {
		names[strings.TrimRight(string(m[1]), ".")] = true
	}
	return Info{Names: slices.Sorted(maps.Keys(names))}
}

// expression is a licence, or several joined by one word.
type expression struct {
	name string
	word string // "AND" or "OR"
	of   []*expression
}

var (
	commas = regexp.MustCompile(`(?i),\s*(and|or)\s+`)
	ors    = regexp.MustCompile(`(?i)\s+or\s+|\s*\|\s*`)
	ands   = regexp.MustCompile(`(?i)\s+and\s+|\s*&\s*|\s*,\s*`)
)

// parse reads the first line of a License field: "and" binds closer than "or",
// and either binds less close after a comma.
func parse(s string) *expression {
	s = strings.TrimSpace(s)
	if s == "" || s == "-" {
		return nil
	}
	if at := commas.FindStringSubmatchIndex(s); at != nil {
		return join(strings.ToUpper(s[at[2]:at[3]]), parse(s[:at[0]]), parse(s[at[1]:]))
	}
	if parts := ors.Split(s, -1); len(parts) > 1 {
		return joinAll("OR", parts)
	}
	if parts := ands.Split(s, -1); len(parts) > 1 {
		return joinAll("AND", parts)
	}
	return &expression{name: s}
}

func joinAll(word string, parts []string) *expression {
	list := make([]*expression, len(parts))
	for i, p := range parts {
		list[i] = parse(p)
	}
	return join(word, list...)
}

func join(word string, list ...*expression) *expression {
	list = slices.DeleteFunc(list, func(e *expression) bool { return e == nil })
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return &expression{word: word, of: list}
}

// terms are what "and" joins, at whatever depth.
func (e *expression) terms() []*expression {
	if e.word != "AND" {
		return []*expression{e}
	}
	var list []*expression
	for _, o := range e.of {
		list = append(list, o.terms()...)
	}
	return list
}

func (e *expression) all() []string {
	if e.name != "" {
		return []string{e.name}
	}
	var list []string
	for _, o := range e.of {
		list = append(list, o.all()...)
	}
	return list
}

func (e *expression) spdx() string {
	if e.name != "" {
		return SPDX(e.name)
	}
	parts := make([]string, len(e.of))
	for i, o := range e.of {
		if parts[i] = o.spdx(); o.word != "" && o.word != e.word {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, " "+e.word+" ")
}
