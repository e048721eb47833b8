package osv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query asks a database about one parent ecosystem.
type Query struct {
	Ecosystem string   // parent, such as "Debian"
	Releases  []string // those installed, such as "Debian:13"; none where there are none
	Names     []string // packages
}

// Answer is what a database has on a query.
type Answer struct {
	Ecosystem string
	Origin    string    // which file or address
	SHA256    string    // of the database file, hex
	Entries   int       // entries it holds for the ecosystem
	Newest    time.Time // the last modification of any of them
	Matches   []*Entry  // those that name a package of the query, by ID
}

// scope looks at the bytes of entries before any of them is decoded: most name
// no package of the query, and decoding is what costs.
type scope struct {
	query    Query
	names    map[string]bool
	parent   []byte
	releases map[string]bool // found so far

	entries int
	newest  time.Time
	matches []*Entry
}

func newScope(q Query) *scope {
	s := &scope{query: q, names: map[string]bool{}, releases: map[string]bool{}, parent: []byte(q.Ecosystem)}
	for _, n := range q.Names {
		s.names[n] = true
	}
	return s
}

// entry takes one entry of a database. What is kept of data is copied.
func (s *scope) entry(name string, data []byte) error {
	if text := bytes.TrimSpace(data); len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return fmt.Errorf("read %s: it is no JSON object, or not a whole one", name)
	}
	// An escape below U+0100 can hide any word of ours; such an entry is read
	// in full.
	if odd := bytes.Contains(data, []byte(`\u00`)); odd || s.interesting(data) {
		return s.decode(name, data)
	}
	if !s.about(data) {
		return nil
	}
	value, _, ok := next(data, `"modified"`)
	stamp, err := time.Parse(time.RFC3339, string(value))
	if !ok || err != nil {
		return fmt.Errorf("read %s: it does not say when it was modified, so it is no OSV entry", name)
	}
	s.count(stamp)
	return nil
}

func (s *scope) decode(name string, data []byte) error {
	e, err := ParseEntry(bytes.Clone(data))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	about, wanted := false, false
	for _, a := range e.Affected {
		if Parent(a.Package.Ecosystem) != s.query.Ecosystem {
			continue
		}
		about = true
		s.releases[a.Package.Ecosystem] = true
		wanted = wanted || s.names[a.Package.Name]
	}
	if about {
		s.count(e.Modified)
	}
	if wanted {
		s.matches = append(s.matches, e)
	}
	return nil
}

func (s *scope) count(stamp time.Time) {
	s.entries++
	if stamp.After(s.newest) {
		s.newest = stamp
	}
}

// about reports whether an undecoded entry is about the ecosystem, and notes
// the releases it speaks of.
func (s *scope) about(data []byte) bool {
	found := false
	for {
		value, rest, ok := next(data, `"ecosystem"`)
		if !ok {
			return found
		}
		if bytes.HasPrefix(value, s.parent) && Parent(string(value)) == s.query.Ecosystem {
			found = true
			if !s.releases[string(value)] {
				s.releases[string(value)] = true
			}
		}
		data = rest
	}
}

// interesting reports whether the value of a "name" key is a package of the
// query. It may say yes too often, never no wrongly.
func (s *scope) interesting(data []byte) bool {
	for {
		value, rest, ok := next(data, `"name"`)
		if !ok {
			return false
		}
		if bytes.IndexByte(value, '\\') >= 0 || s.names[string(value)] {
			return true
		}
		data = rest
	}
}

// next finds the string value of the next occurrence of a key, still escaped.
func next(data []byte, key string) (value, rest []byte, ok bool) {
	for {
		i := bytes.Index(data, []byte(key))
		if i < 0 {
			return nil, nil, false
		}
		data = data[i+len(key):]
		after := bytes.TrimLeft(data, " \t\r\n")
		if len(after) == 0 || after[0] != ':' {
			continue // a value that looks like the key
		}
		after = bytes.TrimLeft(after[1:], " \t\r\n")
		if len(after) == 0 || after[0] != '"' {
			continue
		}
		after = after[1:]
		end := 0
		for end < len(after) && after[end] != '"' {
			if after[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(after) {
			return nil, nil, false
		}
		return after[:end], after[end:], true
	}
}

// merge adds what another worker found.
func (s *scope) merge(o *scope) {
	s.entries += o.entries
	if o.newest.After(s.newest) {
		s.newest = o.newest
	}
	for r := range o.releases {
		s.releases[r] = true
	}
	s.matches = append(s.matches, o.matches...)
}

// answer closes the scope: an ecosystem or release that no entry is about has
// not been judged, and that is an error.
func (s *scope) answer(origin, sum string) (Answer, error) {
	if s.entries == 0 {
		return Answer{}, fmt.Errorf("the database %s has no entry for the ecosystem %s", origin, s.query.Ecosystem)
	}
	if missing := uncovered(s.query.Releases, s.releases); len(missing) > 0 {
		return Answer{}, fmt.Errorf("the database %s has %d entries for %s and none for %s: it is too old, or not whole",
			origin, s.entries, s.query.Ecosystem, strings.Join(missing, ", "))
	}
	slices.SortFunc(s.matches, func(a, b *Entry) int { return strings.Compare(a.ID, b.ID) })
	return Answer{Ecosystem: s.query.Ecosystem, Origin: origin, SHA256: sum, Entries: s.entries, Newest: s.newest.UTC(), Matches: s.matches}, nil
}

// uncovered returns the installed releases that no entry speaks about.
func uncovered(installed []string, found map[string]bool) []string {
	var missing []string
	for _, r := range installed {
		covered := false
		for f := range found {
			covered = covered || Covers(f, r)
		}
		if !covered && !slices.Contains(missing, r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// slim drops the parts of an entry that no decision needs.
func slim(raw json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for _, key := range []string{"details", "references", "credits"} {
		delete(fields, key)
	}
	return json.Marshal(fields)
}

// limitError says that a database is larger than it may be.
func limitError(what string, limit int64) error {
	return fmt.Errorf("%s is over the limit of %s", what, strconv.FormatInt(limit, 10))
}
