package composefile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/hardstand/hardstand/audit/workload/compose"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
	"github.com/hardstand/hardstand/internal/deptest"
)

const file = `
services:
  web:
    image: registry.example/web:1
    user: "65532"
    read_only: true
    cap_drop: [ALL]
    mem_limit: 536870912
    cpus: 1.5
    pids_limit: 100
    environment: {A: b, PORT: 8080, FROM_OUTSIDE: null}
    tmpfs: ["/tmp:size=1m"]
    volumes:
      - ./data:/data:ro
      - {type: tmpfs, target: /run, tmpfs: {size: 10000000}}
    healthcheck: {test: [CMD, /probe], retries: 3}
  worker:
    build: .
    deploy: {resources: {limits: {memory: 64m, cpus: "0.25", pids: 10}}}
    security_opt: ["no-new-privileges:true"]
    network_mode: host
`

func model(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAsking: what comes over the wire is what the library read.
func TestAsking(t *testing.T) {
	asked := compose.Asking(func(ctx context.Context, request []byte) ([]byte, error) {
		var out bytes.Buffer
		err := compose.Serve(ctx, bytes.NewReader(request), &out, composefile.Read)
		return out.Bytes(), err
	})
	want, err := composefile.Read(t.Context(), compose.Request{Name: "x", Model: model(t, file)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := asked(t.Context(), compose.Request{Name: "x", Model: model(t, file)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	web := got.Services["web"]
	if web.Memory != 536870912 || web.Pids != 100 || len(web.Volumes) != 2 || web.Volumes[1].TmpfsSize != 10000000 || !got.Services["worker"].Built || got.Services["worker"].Limits.Memory != 64<<20 {
		t.Errorf("read %+v", got)
	}
	broken := compose.Request{Name: "x", Model: model(t, "services: {web: {image: [1]}}")}
	_, want1 := composefile.Read(t.Context(), broken)
	_, got1 := asked(t.Context(), broken)
	if want1 == nil || got1 == nil || want1.Error() != got1.Error() {
		t.Errorf("error %v, want %v", got1, want1)
	}
}

func TestServeRefusesWhatIsNoRequest(t *testing.T) {
	for _, in := range []string{"\n", "[]", `{"model": 1}`, `{"name": "x"`, "{}\n[]\n"} {
		if err := compose.Serve(t.Context(), bytes.NewReader([]byte(in)), &bytes.Buffer{}, composefile.Read); err == nil {
			t.Errorf("%q is answered", in)
		}
	}
}

// TestServeGoesOn: a file that is wrong is answered, and so is the next one.
func TestServeGoesOn(t *testing.T) {
	var out bytes.Buffer
	in := `{"name":"x","model":{"services":{"a":{"image":[1]}}}}` + "\n" + `{"name":"x","model":{"services":{"a":{"image":"b"}}}}` + "\n"
	if err := compose.Serve(t.Context(), strings.NewReader(in), &out, composefile.Read); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"error":`) || strings.Contains(lines[1], `"error":`) || !strings.Contains(lines[1], `"image":"b"`) {
		t.Errorf("answers %q", lines)
	}
}

func FuzzServe(f *testing.F) {
	seed, err := json.Marshal(compose.Request{Name: "x", Model: map[string]any{"services": map[string]any{"a": map[string]any{"image": "x", "mem_limit": 1 << 20}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"name":"x","model":{"services":{"a":{"image":"x","cpus":0.5,"ports":[80]}}},"interpolate":true,"env":{"A":"b"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		if err := compose.Serve(t.Context(), bytes.NewReader(data), &out, composefile.Read); err != nil {
			return
		}
		for line := range bytes.Lines(out.Bytes()) {
			if !json.Valid(line) {
				t.Errorf("answered %q", out.Bytes())
			}
		}
	})
}

// TestBoundary: only this package links compose-go.
func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit/workload/compose": "the nouns",
		"github.com/compose-spec/compose-go/v2/...":             "Compose's model",
		"github.com/distribution/reference":                     "of compose-go",
		"github.com/docker/...":                                 "of compose-go",
		"github.com/go-viper/mapstructure/v2/...":               "of compose-go",
		"github.com/mattn/go-shellwords":                        "of compose-go",
		"github.com/opencontainers/go-digest":                   "of compose-go",
		"github.com/santhosh-tekuri/jsonschema/v6/...":          "of compose-go",
		"github.com/sirupsen/logrus":                            "of compose-go",
		"github.com/xhit/go-str2duration/v2":                    "of compose-go",
		"go.yaml.in/yaml/...":                                   "of compose-go",
		"golang.org/x/...":                                      "of compose-go",
	})
}
