package apt

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"
)

// The archives a suite can belong to. The lock names them; a Mirror says
// where they are.
const (
	ArchiveMain     = "debian"
	ArchiveSecurity = "debian-security"
)

// snapshotRoot serves every state the archive ever had, by timestamp.
const snapshotRoot = "https://snapshot.debian.org/archive"

// Mirror is a place that serves the archive: one URL for the main archive and
// one for the security archive, each without a trailing slash. The scheme is
// http, https or file.
type Mirror struct {
	Main     string
	Security string
	// AsOf is set for a snapshot: freshness is judged at that time, because
	// every suite of the past has expired by now.
	AsOf time.Time
}

func (m Mirror) root(archive string) string {
	if archive == ArchiveSecurity {
		return m.Security
	}
	return m.Main
}

// ArchiveOf returns the archive that serves a suite.
func ArchiveOf(suite string) string {
	if strings.HasSuffix(suite, "-security") {
		return ArchiveSecurity
	}
	return ArchiveMain
}

// ParseMirror reads a mirror as a person gives it: the URL or the directory of
// the main archive and, after a comma, that of the security archive. Without
// the second, the security archive is looked for beside the first, with
// "-security" appended to its last element.
func ParseMirror(s string) (Mirror, error) {
	main, security, both := strings.Cut(s, ",")
	m := Mirror{}
	var err error
	if m.Main, err = parseRoot(main); err != nil {
		return Mirror{}, err
	}
	if !both {
		m.Security = m.Main + "-security"
		return m, nil
	}
	m.Security, err = parseRoot(security)
	return m, err
}

func parseRoot(s string) (string, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "/")
	if filepath.IsAbs(s) {
		return "file://" + filepath.Clean(s), nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("mirror %q: %w", s, err)
	}
	switch {
	case u.Scheme == "file" && u.Path != "":
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	default:
		return "", fmt.Errorf("mirror %q: want http://, https://, file:// or an absolute directory", s)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("mirror %q: user, query and fragment are not supported", u.Redacted())
	}
	return s, nil
}

// SnapshotMirror returns the archive as it stood at a time.
func SnapshotMirror(at time.Time) Mirror {
	stamp := at.UTC().Format("20060102T150405Z")
	return Mirror{
		Main:     snapshotRoot + "/debian/" + stamp,
		Security: snapshotRoot + "/debian-security/" + stamp,
		AsOf:     at,
	}
}

// maxSources bounds one sources file, in bytes.
const maxSources = 1 << 20

// HostMirrors finds the mirrors that the host's own apt uses, by reading
// etc/apt below root in both formats of sources.list(5). A source counts when
// it names a suite of a Debian release; other repositories are passed over.
// A host without apt has none.
func HostMirrors(root string) []Mirror {
	files, _ := filepath.Glob(filepath.Join(root, "etc/apt/sources.list.d/*"))
	sort.Strings(files)
	files = append([]string{filepath.Join(root, "etc/apt/sources.list")}, files...)
	var main, security []string
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil || info.Size() > maxSources {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var sources []source
		switch filepath.Ext(name) {
		case ".list":
			sources = parseOneLine(string(data))
		case ".sources":
			sources = parseDeb822(string(data))
		}
		for _, s := range sources {
			s.sort(&main, &security)
		}
	}
	return pair(main, security)
}

type source struct{ uris, suites []string }

var debianCodenames = []string{"bullseye", "bookworm", "trixie", "forky", "duke", "sid", "unstable", "testing", "stable", "oldstable"}

var suiteVariants = []string{"", "updates", "security", "backports", "proposed-updates"}

// sort files the source's usable URIs under the archive they serve.
func (s source) sort(main, security *[]string) {
	for _, suite := range s.suites {
		codename, variant, _ := strings.Cut(strings.TrimSuffix(suite, "/updates"), "-")
		if !slices.Contains(debianCodenames, codename) || !slices.Contains(suiteVariants, variant) {
			continue
		}
		list := main
		if variant == "security" || strings.HasSuffix(suite, "/updates") {
			list = security
		}
		for _, u := range s.uris {
			if root, err := parseRoot(u); err == nil && !slices.Contains(*list, root) {
				*list = append(*list, root)
			}
		}
	}
}

// pair makes mirrors of the URIs found. Debian's mirrors serve every suite, so
// which suites the host itself uses does not matter.
func pair(main, security []string) []Mirror {
	var mirrors []Mirror
	for i, m := range main {
		s := m + "-security"
		if len(security) > 0 {
			s = security[min(i, len(security)-1)]
		}
		mirrors = append(mirrors, Mirror{Main: m, Security: s})
	}
	return mirrors
}

func parseOneLine(text string) []source {
	var sources []source
	for line := range strings.SplitSeq(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if i := strings.IndexByte(line, '['); i >= 0 {
			if j := strings.IndexByte(line, ']'); j > i {
				line = line[:i] + line[j+1:]
			}
		}
		if f := strings.Fields(line); len(f) >= 4 && f[0] == "deb" && slices.Contains(f[3:], "main") {
			sources = append(sources, source{uris: f[1:2], suites: f[2:3]})
		}
	}
	return sources
}

func parseDeb822(text string) []source {
	var sources []source
	var kept strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			kept.WriteString(line + "\n")
		}
	}
	for stanza, err := range stanzas(kept.String()) {
		if err != nil {
			break
		}
		types, components := strings.Fields(stanza.Get("Types")), strings.Fields(stanza.Get("Components"))
		if stanza.Get("Enabled") == "no" || !slices.Contains(types, "deb") || !slices.Contains(components, "main") {
			continue
		}
		sources = append(sources, source{uris: strings.Fields(stanza.Get("URIs")), suites: strings.Fields(stanza.Get("Suites"))})
	}
	return sources
}
