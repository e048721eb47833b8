package image

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/credential"
)

// history is the place of an entry of the configuration's history.
func (s *subject) history(i int) audit.Locator {
	l := audit.Locator{Path: "config", Pointer: fmt.Sprintf("/history/%d", i)}
	layer := 0
	for _, h := range s.config.History[:i] {
		if !h.EmptyLayer {
			layer++
		}
	}
	if !s.config.History[i].EmptyLayer && layer < len(s.layers) {
		l.Layer = s.layers[layer].diffID
	}
	return l
}

func configAt(pointer string) audit.Locator {
	return audit.Locator{Path: "config", Pointer: pointer}
}

var assigned = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|[^\s"']+)`)
})

// maxShown bounds a text from the image in a finding, in bytes.
const maxShown = 300

// redact hides the values of secrets in a text and shortens it.
func redact(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = assigned().ReplaceAllStringFunc(text, func(m string) string {
		name, value, _ := strings.Cut(m, "=")
		if credential.Of(name, strings.Trim(value, `"'`)) != "" {
			return name + "=[redacted]"
		}
		return m
	})
	if credential.Looks(text) != "" {
		return "[redacted]"
	}
	return shorten(text)
}

func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

// assignments lists the variables that a text sets.
func assignments(text string) [][2]string {
	var list [][2]string
	for _, m := range assigned().FindAllStringSubmatch(text, 1000) {
		list = append(list, [2]string{m[1], strings.Trim(m[2], `"'`)})
	}
	return list
}

// inDir is a path as seen from a directory.
func inDir(dir, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join("/", dir, name)
}

// escape writes a key for a JSON pointer, RFC 6901.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
