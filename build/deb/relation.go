package deb

import (
	"fmt"
	"slices"
	"strings"
)

// Relation is one alternative of a dependency: a name, perhaps qualified by
// an architecture, perhaps bound to versions (Debian Policy 7.1).
type Relation struct {
	Name    string
	Arch    string // "any", "native", an architecture, or ""
	Op      string // "<<", "<=", "=", ">=", ">>", or "" for any version
	Version string
}

// Clause is a list of alternatives, of which one has to hold.
type Clause []Relation

// String gives the relation as control files write it.
func (r Relation) String() string {
	s := r.Name
	if r.Arch != "" {
		s += ":" + r.Arch
	}
	if r.Op != "" {
		s += " (" + r.Op + " " + r.Version + ")"
	}
	return s
}

// String gives the clause as control files write it.
func (c Clause) String() string {
	parts := make([]string, len(c))
	for i, r := range c {
		parts[i] = r.String()
	}
	return strings.Join(parts, " | ")
}

// Allows reports whether a version satisfies the relation's bound.
func (r Relation) Allows(version string) bool {
	c := CompareVersions(version, r.Version)
	switch r.Op {
	case "":
		return true
	case "<<":
		return c < 0
	case "<=":
		return c <= 0
	case "=":
		return c == 0
	case ">=":
		return c >= 0
	case ">>":
		return c > 0
	}
	return false
}

// ParseRelations reads the value of a field such as Depends or Provides for
// arch. Alternatives restricted to other architectures are left out, as are
// clauses that this empties.
func ParseRelations(field, arch string) ([]Clause, error) {
	var clauses []Clause
	for text := range strings.SplitSeq(field, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		var clause Clause
		for alternative := range strings.SplitSeq(text, "|") {
			r, here, err := parseRelation(strings.TrimSpace(alternative), arch)
			if err != nil {
				return nil, err
			}
			if here {
				clause = append(clause, r)
			}
		}
		if len(clause) > 0 {
			clauses = append(clauses, clause)
		}
	}
	return clauses, nil
}

func parseRelation(s, arch string) (Relation, bool, error) {
	text := s
	bad := func(why string) (Relation, bool, error) {
		return Relation{}, false, fmt.Errorf("bad relation %.80q: %s", text, why)
	}
	if strings.ContainsRune(s, '<') && strings.HasSuffix(s, ">") && !strings.Contains(s, ")") {
		return bad("build profiles belong to source packages")
	}
	here := true
	if i := strings.IndexByte(s, '['); i >= 0 {
		list, ok := strings.CutSuffix(s[i+1:], "]")
		if !ok {
			return bad("unclosed architecture list")
		}
		s, here = strings.TrimSpace(s[:i]), restrictedTo(strings.Fields(list), arch)
	}
	var r Relation
	if i := strings.IndexByte(s, '('); i >= 0 {
		bound, ok := strings.CutSuffix(s[i+1:], ")")
		if !ok {
			return bad("unclosed version")
		}
		s, bound = strings.TrimSpace(s[:i]), strings.TrimSpace(bound)
		end := strings.IndexFunc(bound, func(c rune) bool { return c != '<' && c != '>' && c != '=' })
		if end <= 0 {
			return bad("no version")
		}
		r.Op, r.Version = bound[:end], strings.TrimSpace(bound[end:])
		switch r.Op {
		case "<": // obsolete spellings that mean <= and >=
			r.Op = "<="
		case ">":
			r.Op = ">="
		}
		if !slices.Contains([]string{"<<", "<=", "=", ">=", ">>"}, r.Op) {
			return bad("unknown operator")
		}
		if !ValidVersion(r.Version) {
			return bad("bad version")
		}
	}
	if name, qualifier, ok := strings.Cut(s, ":"); ok {
		if !validArch(qualifier) {
			return bad("bad architecture qualifier")
		}
		s, r.Arch = name, qualifier
	}
	if !ValidName(s) {
		return bad("bad package name")
	}
	r.Name = s
	return r, here, nil
}

func restrictedTo(list []string, arch string) bool {
	negated := false
	for _, a := range list {
		if n, ok := strings.CutPrefix(a, "!"); ok {
			negated = true
			if n == arch {
				return false
			}
		} else if a == arch || a == "any" || a == "linux-any" {
			return true
		}
	}
	return negated
}
