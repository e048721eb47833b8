package images_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/spec"
)

// TestReadmeOfEachImage keeps readme/NAME.md, what a registry's page of an image
// may show, in step with its definition, its lock and the measured sizes.
// UPDATE=1 rewrites them.
func TestReadmeOfEachImage(t *testing.T) {
	data, err := os.ReadFile("sizes.json")
	if err != nil {
		t.Fatal(err)
	}
	var measured sizes
	if err := json.Unmarshal(data, &measured); err != nil {
		t.Fatal(err)
	}
	all := families(t)
	for name, f := range all {
		text := fragment(f, lockOf(t, name, ""), measured[name].Image, measured[name].Packages)
		file := filepath.Join("readme", name+".md")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v: UPDATE=1 go test ./images writes it", err)
			continue
		}
		if diff := cmp.Diff(string(have), text); diff != "" {
			t.Errorf("%s is out of step, UPDATE=1 go test ./images rewrites it:\n%s", file, diff)
		}
	}
	files, err := filepath.Glob("readme/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if all[strings.TrimSuffix(filepath.Base(file), ".md")] == nil {
			t.Errorf("%s belongs to no image", file)
		}
	}
}

func fragment(f *spec.Family, l *spec.Lock, size, packages int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s.\n\n", f.Name, f.Description)
	facts(&b, f, l, size, packages)
	usage(&b, f)
	if f.Bare {
		return b.String()
	}
	variantTable(&b, f)
	packageTable(&b, l)
	leftOut(&b, f)
	return b.String()
}

func facts(b *strings.Builder, f *spec.Family, l *spec.Lock, size, packages int64) {
	row := func(what, text string) {
		if text != "" {
			fmt.Fprintf(b, "| %s | %s |\n", what, text)
		}
	}
	b.WriteString("| | |\n|---|---|\n")
	if !f.Bare {
		row("Debian", fmt.Sprintf("%s (%s)", spec.Releases[f.Debian.Suite], f.Debian.Suite))
	}
	row("platforms", platformsOf(f.Definition))
	text := fmt.Sprintf("%.1f MB compressed, amd64", mega(size))
	if packages > 0 {
		text += fmt.Sprintf("; %.1f MB without probe and decoys", mega(packages))
	}
	row("size", text)
	if !f.Bare {
		row("user", "`nonroot`, 65532, in `/home/nonroot`")
		row("accounts", "`root` 0, `nobody` 65534, `nonroot` 65532, none with a password or a shell")
	}
	row("entrypoint", command(f.Entrypoint))
	var environment []string
	for _, name := range slices.Sorted(maps.Keys(f.Environment)) {
		environment = append(environment, "`"+name+"="+f.Environment[name]+"`")
	}
	row("environment", strings.Join(environment, ", "))
	if f.Probe != nil {
		row("health probe", "`"+f.Probe.Path+"`, run by the image's `HEALTHCHECK`")
	}
	if f.Canary != nil {
		row("decoys", "programs with the names of shells and downloaders, which raise an alarm when somebody runs them")
	}
	if !f.Bare {
		row("locked", lockedAt(l))
	}
	b.WriteString("\n")
}

// lockedAt says which state of the archive the packages are of.
func lockedAt(l *spec.Lock) string {
	var parts []string
	for _, s := range l.Suites {
		parts = append(parts, s.Suite+" of "+s.Date.UTC().Format("2006-01-02"))
	}
	return strings.Join(parts, ", ")
}

func platformsOf(d *spec.Definition) string {
	var list []string
	for _, p := range d.Platforms {
		list = append(list, strings.TrimPrefix(p.String(), "linux/"))
	}
	return strings.Join(list, ", ")
}

func command(argv []string) string {
	if len(argv) == 0 {
		return ""
	}
	return "`" + strings.Join(argv, " ") + "`"
}

// usages are Dockerfiles for what images are for; the longest prefix of an
// image's name counts.
var usages = map[string]string{
	"static":  "COPY server /server\nENTRYPOINT [\"/server\"]\nHEALTHCHECK CMD [\"/bin/probe\", \"http://127.0.0.1:8080/health\"]\n",
	"base":    "COPY server /server\nENTRYPOINT [\"/server\"]\nHEALTHCHECK CMD [\"/bin/probe\", \"http://127.0.0.1:8080/health\"]\n",
	"cc":      "COPY server /server\nENTRYPOINT [\"/server\"]\nHEALTHCHECK CMD [\"/bin/probe\", \"http://127.0.0.1:8080/health\"]\n",
	"python3": "COPY app /app\nENV PYTHONPATH=/app/packages\nCMD [\"/app/main.py\"]\nHEALTHCHECK CMD [\"/bin/probe\", \"http://127.0.0.1:8080/health\"]\n",
	"java":    "COPY server.jar /server.jar\nCMD [\"/server.jar\"]\nHEALTHCHECK CMD [\"/bin/probe\", \"http://127.0.0.1:8080/health\"]\n",
	"nodejs":  "COPY app /app\nCMD [\"/app/main.js\"]\nHEALTHCHECK CMD [\"/bin/probe\", \"http://127.0.0.1:8080/health\"]\n",
	"probe":   "FROM debian:trixie-slim\nCOPY --from=registry.example/probe /bin/probe /bin/probe\nHEALTHCHECK CMD [\"/bin/probe\", \"http://127.0.0.1:8080/health\"]\n",
	"canary":  "FROM debian:trixie-slim\nRUN rm -f /usr/bin/wget /usr/bin/curl\nCOPY --from=registry.example/canary / /\n",
}

func usage(b *strings.Builder, f *spec.Family) {
	kind := ""
	for name := range usages {
		if strings.HasPrefix(f.Name, name) && len(name) > len(kind) {
			kind = name
		}
	}
	text := usages[kind]
	if !f.Bare {
		text = "FROM registry.example/" + f.Name + "\n" + text
	}
	fmt.Fprintf(b, "## Use\n\n`hardstand publish %s registry.example/%s` puts it into a registry of yours, signed;\nother images start from it or copy from it:\n\n```dockerfile\n%s```\n\n", f.Name, f.Name, text)
	switch {
	case f.Name == "canary":
		b.WriteString("A decoy replaces what the other image has at its path: the whole contents are for\nimages without programs of those names.\n\n")
	case f.Name != "probe":
		fmt.Fprintf(b, "The probe alone, for other images: `COPY --from=registry.example/%s /bin/probe /bin/probe`.\nThere is no shell: `ENTRYPOINT`, `CMD` and `HEALTHCHECK` need the form with brackets.\n\n", f.Name)
	}
}

func variantTable(b *strings.Builder, f *spec.Family) {
	b.WriteString("## Variants\n\n| image | user | entrypoint | |\n|---|---|---|---|\n")
	for _, v := range f.Variants {
		_, about, _ := strings.Cut(v.Description, "; ")
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", v.Definition.Name, v.Accounts.RunAs, command(v.Entrypoint), about)
	}
	b.WriteString("\n")
}

func packageTable(b *strings.Builder, l *spec.Lock) {
	fmt.Fprintf(b, "## Packages\n\n%d packages of Debian, for amd64; `/var/lib/dpkg/status.d` in the image and its SBOM list\nthem too.\n\n| package | version | source |\n|---|---|---|\n", len(l.Platforms["linux/amd64"]))
	for _, p := range l.Platforms["linux/amd64"] {
		fmt.Fprintf(b, "| %s | %s | %s |\n", p.Name, p.Version, p.Source)
	}
	b.WriteString("\n")
}

func leftOut(b *strings.Builder, f *spec.Family) {
	b.WriteString("## Left out\n\nPaths of packages, by pattern:\n\n")
	for _, pattern := range f.Drop {
		fmt.Fprintf(b, "- `%s`\n", pattern)
	}
	fmt.Fprintf(b, "\nPackages that others depend on: %s.\n\nPackages that may not be in it: %s.\n", strings.Join(f.IgnoreDepends, ", "), strings.Join(f.Deny, ", "))
}
