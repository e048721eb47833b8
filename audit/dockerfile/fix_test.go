package dockerfile

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var digestText = "sha256:" + strings.Repeat("ab", 32)

// TestFixChangesWhatItMeansTo gives repairs what they must not touch beside
// what they should: other commands, comments, strings and here-documents.
func TestFixChangesWhatItMeansTo(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"second call": {"RUN apt-get install -y --no-install-recommends a && apt-get install b", "RUN apt-get install -y --no-install-recommends a && apt-get install -y --no-install-recommends b"},
		"echo":        {"RUN echo apt-get install is slow && apt-get install x", "RUN echo apt-get install is slow && apt-get install -y --no-install-recommends x"},
		"comment":     {"RUN true \\\n  # apt-get install is next\n  && apt-get install x", "RUN true \\\n  # apt-get install is next\n  && apt-get install -y --no-install-recommends x"},
		"apt list":    {"RUN apt list --installed && apt update && apt install -y --no-install-recommends x", "RUN apt list --installed && apt-get update && apt-get install -y --no-install-recommends x"},
		"package apt": {"RUN apt-get install -y --no-install-recommends apt", ""},
		"options":     {"RUN apt-get -o A=b -t bookworm install x", "RUN apt-get -o A=b -t bookworm install -y --no-install-recommends x"},
		"nested":      {"RUN sh -c 'apt-get install x'", "RUN sh -c 'apt-get install -y --no-install-recommends x'"},
		"heredocs":    {"COPY <<EOF /x\nRUN apt-get install foo\nENV a b\nEOF\nRUN <<EOF\napt-get install foo\nEOF", "COPY <<EOF /x\nRUN apt-get install foo\nENV a b\nEOF\nRUN <<EOF\napt-get install -y --no-install-recommends foo\nEOF"},
		"pip":         {"RUN pip install x && pip3 install y && python -m pip install z", "RUN pip install --no-cache-dir x && pip3 install --no-cache-dir y && python -m pip install --no-cache-dir z"},
		"yum":         {"RUN yum -q install a; yum install b", "RUN yum -q install -y a; yum install -y b"},
		"crlf, tab":   {"\tENV a b\r\nMAINTAINER x\r\nCMD node x\r", "\tENV a=b\r\nLABEL org.opencontainers.image.authors=\"x\"\r\nCMD [\"node\", \"x\"]\r"},
		"builtin":     {"CMD cd foo", ""},
		"entrypoint":  {"ENTRYPOINT foo bar\nCMD x y", ""},
		"add":         {"ADD plain /x\nADD packed /x\nADD ${SRC} /x\nADD https://x.example/y /y\nADD plain.txt gone /x/\nADD gone /x", "COPY plain /x\nADD packed /x\nADD ${SRC} /x\nADD https://x.example/y /y\nADD plain.txt gone /x/\nADD gone /x"},
		"pins":        {"COPY --from=nginx:1 nginx:1 /x\nRUN --mount=type=bind,from=alpine:3,target=/alpine:3 x\nCOPY \\\n # redis:7 is here\n --from=redis:7 a b", "COPY --from=nginx:1@" + digestText + " nginx:1 /x\nRUN --mount=type=bind,from=alpine:3@" + digestText + ",target=/alpine:3 x\nCOPY \\\n # redis:7 is here\n --from=redis:7@" + digestText + " a b"},
		"waived":      {"# hardstand ignore=CHG-1.1e reason=old\nENV a b", ""},
	} {
		if c.want == "" {
			c.want = c.in
		}
		head := "FROM debian:12@" + digestText + "\n"
		in := Input{Name: "Dockerfile", Data: []byte(head + c.in + "\n"), Context: fstest.MapFS{
			"plain":  {Data: []byte("text")},
			"packed": {Data: []byte("\x1f\x8bwhatever")},
		}}
		o := FixOptions{Resolve: func(context.Context, string) (string, error) { return digestText, nil }}
		fixed, err := Fix(t.Context(), in, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(head+c.want+"\n", string(fixed.Data)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		in.Data = fixed.Data
		if again, err := Fix(t.Context(), in, o); err != nil || len(again.Applied) > 0 {
			t.Errorf("%s: a second run repairs %q again, %v", name, again.Applied, err)
		}
	}
}

// TestFixOfCorpusStands runs over every Dockerfile of the corpus: a second run
// finds nothing, and what is left broken was broken before.
func TestFixOfCorpusStands(t *testing.T) {
	files := corpus(t)
	for name, data := range files {
		o := FixOptions{Resolve: func(context.Context, string) (string, error) { return digestText, nil }}
		fixed, err := Fix(t.Context(), Input{Name: "Dockerfile", Data: data}, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := Fix(t.Context(), Input{Name: "Dockerfile", Data: fixed.Data}, o)
		if err != nil || string(again.Data) != string(fixed.Data) {
			t.Errorf("%s: a second run repairs %q again, %v", name, again.Applied, err)
		}
		if was, is := broken(t, data), broken(t, fixed.Data); is > was || len(fixed.Applied) > 0 && is == was {
			t.Errorf("%s: %d findings before, %d after %q", name, was, is, fixed.Applied)
		}
	}
}

func broken(t *testing.T, data []byte) int {
	t.Helper()
	res, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: data}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range res.Findings {
		if f.Broken() {
			n++
		}
	}
	return n
}

// corpus reads the Dockerfiles whose accuracy is measured.
func corpus(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../corpus/testdata/dockerfile/*.txtar")
	if err != nil || len(paths) < 60 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	files := map[string][]byte{}
	for _, p := range paths {
		archive, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if f.Name == "Dockerfile" {
				files[p] = f.Data
			}
		}
	}
	return files
}
