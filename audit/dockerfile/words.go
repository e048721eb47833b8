package dockerfile

import (
	"regexp"
	"strings"
	"sync"
)

var variable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\\.|\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)([^}]*)\}`)
})

// variables lists the names that a word takes the value of. One with a default
// or an alternative (${X:-y}) is always defined, and not listed.
func variables(word string) []string {
	if !strings.Contains(word, "$") {
		return nil
	}
	var list []string
	for _, m := range variable().FindAllStringSubmatch(word, -1) {
		switch {
		case m[1] != "":
			list = append(list, m[1])
		case m[2] != "" && !strings.HasPrefix(m[3], ":-") && !strings.HasPrefix(m[3], "-") && !strings.HasPrefix(m[3], ":+") && !strings.HasPrefix(m[3], "+"):
			list = append(list, m[2])
		}
	}
	return list
}

// expandAll is expand with unknown variables replaced by nothing, which is
// what the builder does.
func (f *file) expandAll(word string, env environment) string {
	out := f.expand(word, env)
	return variable().ReplaceAllString(out, "")
}
