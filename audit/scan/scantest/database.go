// Package scantest makes vulnerability databases for tests and benchmarks, in
// the layout and the habits of the public ones: one zip an ecosystem, Debian's
// release inside each entry and its urgency beside it, bulletins about several
// flaws, Go advisories without a severity but with symbols, aliases between
// databases, withdrawn entries. Tests only. The advisories are made up; none
// is about a real flaw.
package scantest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Entry is an advisory in the OSV schema.
type Entry map[string]any

// Debian makes an advisory of Debian's database about one source package.
// fixed maps a release such as "13" to the version with the fix, "" where
// there is none.
func Debian(id, pkg string, modified time.Time, urgency string, fixed map[string]string) Entry {
	var affected []any
	for _, release := range []string{"11", "12", "13", "14"} {
		version, ok := fixed[release]
		if !ok {
			continue
		}
		events := []any{map[string]string{"introduced": "0"}}
		if version != "" {
			events = append(events, map[string]string{"fixed": version})
		}
		affected = append(affected, map[string]any{
			"package":            map[string]string{"name": pkg, "ecosystem": "Debian:" + release, "purl": "pkg:deb/debian/" + pkg + "?arch=source"},
			"ranges":             []any{map[string]any{"type": "ECOSYSTEM", "events": events}},
			"ecosystem_specific": map[string]string{"urgency": urgency},
		})
	}
	e := Entry{
		"schema_version": "1.7.3", "id": id, "modified": modified.UTC().Format(time.RFC3339), "published": modified.Add(-72 * time.Hour).UTC().Format(time.RFC3339),
		"details":  "A made-up flaw in " + pkg + ". " + strings.Repeat("It lets an attacker do what an attacker should not. ", 6),
		"affected": affected, "references": []any{map[string]string{"type": "ADVISORY", "url": "https://advisories.example/" + id}},
	}
	if cve, ok := strings.CutPrefix(id, "DEBIAN-"); ok {
		e["upstream"] = []string{cve}
	}
	return e
}

// Go makes an advisory of the Go database. It has no severity, as those have
// none. imports maps a package to its vulnerable symbols.
func Go(id, module string, modified time.Time, aliases []string, introduced, fixed string, imports map[string][]string) Entry {
	events := []any{map[string]string{"introduced": introduced}}
	if fixed != "" {
		events = append(events, map[string]string{"fixed": fixed})
	}
	var list []any
	for path, symbols := range imports {
		one := map[string]any{"path": path}
		if len(symbols) > 0 {
			one["symbols"] = symbols
		}
		list = append(list, one)
	}
	return Entry{
		"schema_version": "1.3.1", "id": id, "modified": modified.UTC().Format(time.RFC3339), "published": modified.Add(-72 * time.Hour).UTC().Format(time.RFC3339),
		"aliases": aliases, "summary": "A made-up flaw in " + module, "details": strings.Repeat("A made-up flaw. ", 20),
		"affected": []any{map[string]any{
			"package":            map[string]string{"name": module, "ecosystem": "Go"},
			"ranges":             []any{map[string]any{"type": "SEMVER", "events": events}},
			"ecosystem_specific": map[string]any{"imports": list},
		}},
		"database_specific": map[string]string{"url": "https://advisories.example/" + id, "review_status": "REVIEWED"},
	}
}

// GHSA makes a GitHub advisory about a Go module, with a severity as a word
// and a vector.
func GHSA(id, module string, modified time.Time, aliases []string, introduced, fixed, vector, word string) Entry {
	e := Go(id, module, modified, aliases, introduced, fixed, nil)
	e["severity"] = []any{map[string]string{"type": "CVSS_V3", "score": vector}}
	e["database_specific"] = map[string]any{"severity": word, "cwe_ids": []string{"CWE-20"}, "github_reviewed": true}
	return e
}

// Zip packs advisories as an export does.
func Zip(entries ...Entry) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		f, err := w.Create(fmt.Sprint(e["id"]) + ".json")
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}

// Write makes a database directory with the advisories given by ecosystem.
func Write(dir string, databases map[string][]Entry) error {
	for name, entries := range databases {
		data, err := Zip(entries...)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name, "all.zip"), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Many makes n advisories of Debian's database, in the sizes that the public
// one has: most about source packages that no small image installs.
func Many(n int, now time.Time) []Entry {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	urgencies := []string{"not yet assigned", "unimportant", "low", "medium", "high"}
	entries := make([]Entry, n)
	for i := range entries {
		id := fmt.Sprintf("DEBIAN-CVE-%d-%d", 2004+r.IntN(22), 1000+i)
		pkg := fmt.Sprintf("%s%d", []string{"lib", "python-", "ruby-", "golang-", "node-", "php-"}[r.IntN(6)], r.IntN(9000))
		version := fmt.Sprintf("%d.%d.%d-%d+deb13u%d", r.IntN(9), r.IntN(30), r.IntN(90), 1+r.IntN(9), 1+r.IntN(4))
		modified := now.Add(-time.Duration(r.IntN(60*24*365)) * time.Minute).Add(-2 * time.Hour)
		entries[i] = Debian(id, pkg, modified, urgencies[r.IntN(5)], map[string]string{"11": version, "12": version, "13": version, "14": version})
		// The public export lists affected versions one by one, too.
		for _, a := range entries[i]["affected"].([]any) {
			var versions []string
			for range r.IntN(12) {
				versions = append(versions, fmt.Sprintf("%d.%d.%d-%d", r.IntN(9), r.IntN(30), r.IntN(90), 1+r.IntN(9)))
			}
			a.(map[string]any)["versions"] = versions
		}
	}
	return entries
}

// ManyGo makes n advisories of the Go database, and half as many of GitHub's
// beside them.
func ManyGo(n int, now time.Time) []Entry {
	r := rand.New(rand.NewPCG(2, uint64(n)))
	var entries []Entry
	for i := range n {
		module := fmt.Sprintf("example.org/group%d/module%d", r.IntN(200), r.IntN(4000))
		modified := now.Add(-time.Duration(2+r.IntN(24*900)) * time.Hour)
		cve, ghsa := fmt.Sprintf("CVE-2025-%d", 10000+i), fmt.Sprintf("GHSA-%04x-%04x-%04x", i, i*7&0xffff, i*13&0xffff)
		fixed := fmt.Sprintf("1.%d.%d", r.IntN(20), r.IntN(9))
		e := Go(fmt.Sprintf("GO-2025-%04d", 1000+i), module, modified, []string{cve, ghsa}, "0", fixed, map[string][]string{module + "/parse": {"Parse", "Reader.Read"}})
		if i%250 == 0 {
			e["withdrawn"] = now.Add(-time.Hour).UTC().Format(time.RFC3339)
		}
		entries = append(entries, e)
		if i%2 == 0 {
			entries = append(entries, GHSA(ghsa, module, modified, []string{cve}, "0", fixed, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CRITICAL"))
		}
	}
	return entries
}
