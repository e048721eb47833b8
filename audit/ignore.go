package audit

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Ignore is one inline waiver, written in a comment of the audited file:
//
//	# hardstand ignore=CHG-2.6a reason="legacy base image" until=2027-01-01
//
// The reason is required. IDs may be ours or those of other linters.
type Ignore struct {
	IDs    []string
	Reason string
	Until  *time.Time // the end of that day, UTC
	Global bool       // "hardstand global ignore=": the whole file
}

// maxReason bounds a reason, in bytes.
const maxReason = 500

// ParseIgnore reads a comment with or without its leading "#". It returns
// false for a comment that is no waiver, and an error for one that is broken:
// a waiver without a reason waives nothing.
func ParseIgnore(comment string) (Ignore, bool, error) {
	text := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(comment), "#"))
	rest, ok := strings.CutPrefix(text, "hardstand ")
	if !ok {
		return Ignore{}, false, nil
	}
	var ig Ignore
	rest = strings.TrimSpace(rest)
	if after, ok := strings.CutPrefix(rest, "global "); ok {
		ig.Global, rest = true, strings.TrimSpace(after)
	}
	if !strings.HasPrefix(rest, "ignore=") {
		return Ignore{}, false, nil
	}
	fields, err := pairs(rest)
	if err != nil {
		return Ignore{}, true, fmt.Errorf("read ignore comment: %w", err)
	}
	for _, f := range fields {
		switch f[0] {
		case "ignore":
			for _, id := range strings.Split(f[1], ",") {
				if id = strings.TrimSpace(id); id != "" {
					ig.IDs = append(ig.IDs, id)
				}
			}
		case "reason":
			ig.Reason = strings.TrimSpace(f[1])
		case "until":
			day, err := ParseDay(f[1])
			if err != nil {
				return Ignore{}, true, fmt.Errorf("read ignore comment: %w", err)
			}
			ig.Until = &day
		default:
			return Ignore{}, true, fmt.Errorf("read ignore comment: %q is none of ignore, reason and until", f[0])
		}
	}
	switch {
	case len(ig.IDs) == 0:
		return Ignore{}, true, errors.New("read ignore comment: no rule is named; write ignore=CHG-2.6a")
	case ig.Reason == "":
		return Ignore{}, true, errors.New(`read ignore comment: no reason is given; write reason="why this is accepted"`)
	case len(ig.Reason) > maxReason:
		return Ignore{}, true, fmt.Errorf("read ignore comment: the reason has more than %d bytes", maxReason)
	}
	return ig, true, nil
}

// ParseDay reads a day such as 2027-01-01 and returns its end in UTC: a waiver
// holds through the day it names.
func ParseDay(text string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no day like 2027-01-01", text)
	}
	return day.AddDate(0, 0, 1), nil
}

// pairs splits key=value fields, where a value may stand in double quotes.
func pairs(text string) ([][2]string, error) {
	var list [][2]string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		key, rest, ok := strings.Cut(text, "=")
		if !ok || strings.ContainsAny(key, " \t\"") {
			return nil, fmt.Errorf("%q is not key=value", text)
		}
		if after, quoted := strings.CutPrefix(rest, `"`); quoted {
			value, tail, closed := strings.Cut(after, `"`)
			if !closed {
				return nil, errors.New("a quote is not closed")
			}
			list, text = append(list, [2]string{key, value}), tail
			continue
		}
		value, tail := rest, ""
		if i := strings.IndexAny(rest, " \t"); i >= 0 {
			value, tail = rest[:i], rest[i:]
		}
		list, text = append(list, [2]string{key, value}), tail
	}
	return list, nil
}

// Matches reports whether an id in a waiver means the rule: its own id, its
// whole step ("CHG-2.6"), or one of its aliases. Trivy's three spellings of an
// id (DS-0002, DS002, AVD-DS-0002) are one.
func (r Rule) Matches(id string) bool {
	if strings.EqualFold(id, r.ID) || strings.EqualFold(id, "CHG-"+r.Step()) {
		return true
	}
	id = canonicalAlias(id)
	for _, alias := range r.Aliases {
		if id == canonicalAlias(alias) {
			return true
		}
	}
	return false
}

func canonicalAlias(id string) string {
	id = strings.TrimPrefix(strings.ToUpper(id), "AVD-")
	if rest, ok := strings.CutPrefix(id, "DS"); ok {
		return "DS" + strings.TrimLeft(strings.TrimPrefix(rest, "-"), "0")
	}
	return id
}

// Waive accepts a finding, unless the waiver has run out at now. It reports
// whether it accepted.
func (f *Finding) Waive(reason, source string, until *time.Time, now time.Time) bool {
	if until != nil && !now.Before(*until) {
		return false
	}
	f.Waiver = &Waiver{Reason: reason, Until: until, Source: source}
	return true
}
