package dockerfile

import (
	"regexp"
	"strings"
	"sync"
)

// imageName is a reference taken apart.
type imageName struct {
	registry string // docker.io where none is written
	path     string // library/debian
	tag      string
	digest   string // sha256:...
}

var digestShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })

func parseImage(text string) imageName {
	var n imageName
	text, digest, ok := strings.Cut(text, "@")
	if ok {
		n.digest = digest
	}
	if i := strings.LastIndex(text, ":"); i > strings.LastIndex(text, "/") {
		text, n.tag = text[:i], text[i+1:]
	}
	host, rest, ok := strings.Cut(text, "/")
	if ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		n.registry, n.path = host, rest
	} else {
		n.registry, n.path = "docker.io", text
		if !strings.Contains(text, "/") {
			n.path = "library/" + text
		}
	}
	return n
}

// pinned reports whether the reference names content.
func (n imageName) pinned() bool { return digestShape().MatchString(n.digest) }

// String is registry and path without tag and digest.
func (n imageName) String() string { return n.registry + "/" + n.path }

// trusted reports whether an allow-list covers the image: an entry is a
// registry, a registry with a path, or a prefix that ends in "*".
func (n imageName) trusted(list []string) bool {
	full := n.String()
	for _, entry := range list {
		entry = strings.TrimSuffix(entry, "/")
		if prefix, ok := strings.CutSuffix(entry, "*"); ok {
			if strings.HasPrefix(full, prefix) || strings.HasPrefix(n.registry, prefix) && !strings.Contains(prefix, "/") {
				return true
			}
			continue
		}
		if entry == n.registry || full == entry || strings.HasPrefix(full, entry+"/") {
			return true
		}
	}
	return false
}

// minimal reports whether an image is one of those that are published as
// bringing neither shell nor package manager, or is on the list given.
func (n imageName) minimal(list []string) bool {
	if strings.Contains(n.tag, "debug") || strings.HasSuffix(n.tag, "-dev") || n.tag == "dev" {
		return false
	}
	if len(list) > 0 && n.trusted(list) {
		return true
	}
	for _, prefix := range []string{"gcr.io/distroless/", "cgr.dev/chainguard/", "dhi.io/", "registry.access.redhat.com/ubi9-micro", "registry.access.redhat.com/ubi9/ubi-micro", "registry.access.redhat.com/ubi8/ubi-micro"} {
		if strings.HasPrefix(n.String(), prefix) || strings.HasPrefix(n.String()+"/", prefix) {
			// Chainguard's latest-dev and the plain wolfi-base have a shell.
			return !strings.HasSuffix(n.path, "wolfi-base")
		}
	}
	return false
}
