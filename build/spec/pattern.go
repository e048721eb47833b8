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
	return match(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

func match(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(name) + 1 {
				if match(pattern[1:], name[i:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, _ := path.Match(pattern[0], name[0]); !ok {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}
