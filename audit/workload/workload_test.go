package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
	"github.com/hardstand/hardstand/internal/deptest"
)

// kindOf is the kind of a fixture by its name.
func kindOf(name string) audit.Kind {
	for prefix, kind := range map[string]audit.Kind{
		"k8s": audit.Kubernetes, "compose": audit.Compose, "ecs": audit.ECS, "docker": audit.Docker, "policy": audit.Export,
	} {
		if strings.HasPrefix(filepath.Base(name), prefix) {
			return kind
		}
	}
	return ""
}

// verify stands in for a trust policy.
func verify(_ context.Context, ref string) (string, error) {
	if strings.HasPrefix(ref, "signed.example/") {
		return "key k1", nil
	}
	return "", &UnsignedError{"no signature"}
}

func TestRules(t *testing.T) {
	audittest.Check(t, audittest.Package{
		Rules: Rules(), Letters: "q-z",
		Audit: func(t *testing.T, dir string) []audit.Finding {
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("an empty fixture: %v", err)
			}
			var list []audit.Finding
			for _, f := range files {
				data, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				o := Options{Compose: composefile.Read}
				if strings.Contains(t.Name(), "CHG-2.2q") && !strings.Contains(t.Name(), "unknown") {
					o.Verify = verify
				}
				res, err := Audit(t.Context(), Input{Name: filepath.Base(f), Kind: kindOf(f), Data: data}, o)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, res.Findings...)
			}
			return list
		},
	})
}

// TestManifests judges realistic files. Each is a txtar of one file and the
// rules that it breaks: "RULE verdict line" a line, UPDATE=1 writes them. What a
// careful reader wants of it stands there too, and is package corpus's.
func TestManifests(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/manifests/*.txtar")
	if err != nil || len(fixtures) < 20 {
		t.Fatalf("%d fixtures, want 20: %v", len(fixtures), err)
	}
	for _, path := range fixtures {
		t.Run(filepath.Base(path), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			in := ar.Files[0]
			res, err := Audit(t.Context(), Input{Name: in.Name, Kind: kindOf(in.Name), Data: in.Data}, Options{Compose: composefile.Read})
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, f := range res.Findings {
				for _, fault := range audittest.FindingFaults(f) {
					t.Errorf("%s: %s", f.Rule, fault)
				}
				if f.Broken() {
					fmt.Fprintf(&got, "%s %s %d\n", f.Rule, f.Verdict, f.Locator.StartLine)
				}
			}
			for _, n := range res.Notes {
				fmt.Fprintf(&got, "note %s\n", n)
			}
			if os.Getenv("UPDATE") != "" {
				ar.Files[1] = txtar.File{Name: "expected", Data: []byte(got.String())}
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(ar.Files[1].Data), got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSecretValuesStayOut(t *testing.T) {
	for kind, data := range map[audit.Kind]string{
		audit.Compose:    "services: {a: {image: x, environment: {DB_PASSWORD: hunter2hunter2}}}",
		audit.Kubernetes: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"a","env":[{"name":"DB_PASSWORD","value":"hunter2hunter2"}]}]}}`,
		audit.ECS:        `[{"name":"a","image":"x","environment":[{"name":"DB_PASSWORD","value":"hunter2hunter2"}]}]`,
		audit.Docker:     "docker run -e DB_PASSWORD=hunter2hunter2 x",
	} {
		res, err := Audit(t.Context(), Input{Name: "x", Kind: kind, Data: []byte(data)}, Options{Compose: composefile.Read})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range res.Findings {
			found = found || f.Rule == "CHG-3.5q" && f.Verdict == audit.Fail
		}
		text, _ := json.Marshal(res)
		if !found || strings.Contains(string(text), "hunter2") {
			t.Errorf("%s: found %v; the value is in the findings: %v", kind, found, strings.Contains(string(text), "hunter2"))
		}
	}
}

func TestHostileFiles(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	for name, data := range map[string]string{
		"laughs":    laughs.String(),
		"deep":      strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"utf8":      "apiVersion: v1\nkind: \"\xff\xfe\"\n",
		"recursive": "a: &a {b: *a}\n",
		"twice":     "a: 1\na: 2\n",
		"merge":     "a: &a {<<: *a}\n",
		"large":     strings.Repeat("x", MaxSize+1),
		"documents": strings.Repeat("---\na: 1\n", maxDocuments+5),
	} {
		for _, kind := range []audit.Kind{audit.Kubernetes, audit.Compose, audit.ECS, audit.Docker} {
			start := time.Now()
			if _, err := Audit(t.Context(), Input{Name: "x", Kind: kind, Data: []byte(data)}, Options{Compose: composefile.Read}); err == nil {
				t.Errorf("%s was read as %s", name, kind)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("%s as %s took %v", name, kind, d)
			}
		}
	}
}

func FuzzAudit(f *testing.F) {
	kinds := []audit.Kind{audit.Kubernetes, audit.Compose, audit.ECS, audit.Docker, audit.Export}
	f.Add(byte(0), []byte("apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: b, securityContext: {}}]}\n"))
	f.Add(byte(1), []byte("services:\n  a:\n    image: b:${TAG:-1}\n    ports: ['80:80']\n    volumes: ['/:/x:ro']\n"))
	f.Add(byte(2), []byte(`{"Resources":{"T":{"Type":"AWS::ECS::TaskDefinition","Properties":{"ContainerDefinitions":[{"Image":{"Ref":"X"}}]}}}}`))
	f.Add(byte(3), []byte("docker run --read-only -u 1:1 --tmpfs /tmp:size=1m x"))
	f.Add(byte(4), []byte(`{"default":[{"type":"reject"}]}`))
	f.Fuzz(func(t *testing.T, k byte, data []byte) {
		res, err := Audit(t.Context(), Input{Name: "x", Kind: kinds[int(k)%len(kinds)], Data: data}, Options{Compose: composefile.Read})
		if err != nil {
			return
		}
		for _, finding := range res.Findings {
			if faults := audittest.FindingFaults(finding); len(faults) > 0 {
				t.Fatalf("%s: %v", finding.Rule, faults)
			}
		}
	})
}

func TestBoundary(t *testing.T) {
	deptest.Check(t, allowed)
}

var allowed = deptest.Allow{
	"github.com/hardstand/hardstand/audit/...": "the nouns, and what secrets look like",
	"gopkg.in/yaml.v3":                         "documents with their lines",
	"mvdan.cc/sh/v3/...":                       "docker run lines",
	"k8s.io/...":                               "Kubernetes' types, and Pod Security's own checks",
	"sigs.k8s.io/...":                          "strict decoding as the API server's; of k8s.io",
	"go.yaml.in/yaml/...":                      "of k8s.io",
	"golang.org/x/...":                         "of k8s.io",
	"github.com/fxamacker/cbor/v2":             "of k8s.io",
	"github.com/x448/float16":                  "of k8s.io",
	"github.com/go-logr/logr":                  "of k8s.io",
	"github.com/json-iterator/go":              "of k8s.io",
	"github.com/modern-go/...":                 "of k8s.io",
	"gopkg.in/inf.v0":                          "of k8s.io",
}
