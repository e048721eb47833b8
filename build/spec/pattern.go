package spec

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// CheckPattern reports what is wrong with a path pattern. A pattern is
// relative to the root; each element is a path.Match pattern, and "**" stands
// for any number of elements.
func CheckPattern(pattern string) error {
	if pattern == "" || strings.HasPrefix(pattern, "/") || path.Clean(pattern) != pattern || strings.HasPrefix(pattern, "..") {
		return fmt.Errorf("bad pattern %q: want a clean path relative to the root", pattern)
	}
	if pattern == "**" || pattern == "*" {
		return errors.New("a pattern may not match everything")
	}
	for element := range strings.SplitSeq(pattern, "/") {
		if _, err := path.Match(element, ""); err != nil {
			return fmt.Errorf("bad pattern %q: %w", pattern, err)
		}
	}
	return nil
}

// MatchPattern reports whether a clean relative path matches a pattern that
// CheckPattern accepts.
func MatchPattern(pattern, name string) bool {
	for {
		own, rest, more := strings.Cut(pattern, "/")
		if own == "**" {
			return !more || matchBelow(rest, name)
		}
		part, below, deeper := strings.Cut(name, "/")
		if own != part {
			if ok, _ := path.Match(own, part); !ok {
				return false
			}
		}
		switch {
		case !more:
			return !deeper
		case !deeper:
			return matchesNothing(rest)
		}
		pattern, name = rest, below
	}
}

// matchBelow matches a pattern with what is left of a name from any of its
// parts on.
func matchBelow(pattern, name string) bool {
	for {
		if MatchPattern(pattern, name) {
			return true
		}
		_, below, deeper := strings.Cut(name, "/")
		if !deeper {
			return false
		}
		name = below
	}
}

// matchesNothing reports whether a pattern matches no elements at all.
func matchesNothing(pattern string) bool {
	for element := range strings.SplitSeq(pattern, "/") {
		if element != "**" {
			return false
		}
	}
	return true
}
