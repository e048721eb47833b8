package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"log"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/hardstand/hardstand/app/secret"
)

const hidden = "correct-horse-battery"

// show is every way a program is likely to print a value by accident.
func show(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range strings.Fields("%v %+v %#v %s %q %x %X %d %T %p %10.3s %t %w") {
		out[verb] = fmt.Sprintf(verb, v)
	}
	out["print"] = fmt.Sprint(v) + fmt.Sprintln(v)
	out["error"] = fmt.Errorf("failed: %v", v).Error()
	text, err := json.Marshal(v)
	out["json"] = fmt.Sprint(string(text), err)
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v, slog.Group("g", "v", v))
	log.New(&b, "", 0).Print(v)
	_ = xml.NewEncoder(&b).Encode(v)
	_ = gob.NewEncoder(&b).Encode(v)
	_ = template.Must(template.New("").Parse("{{.}}")).Execute(&b, v)
	_ = texttemplate.Must(texttemplate.New("").Parse("{{.}} {{printf `%#v` .}}")).Execute(&b, v)
	out["writers"] = b.String()
	return out
}

func TestValueDoesNotPrint(t *testing.T) {
	text, raw := secret.NewValue(hidden), secret.NewValue([]byte(hidden))
	type exported struct{ Password secret.String }
	type unexported struct {
		password secret.String
		raw      secret.Value[[]byte]
	}
	for name, v := range map[string]any{
		"value": text, "pointer": &text, "bytes": raw,
		"struct": exported{text}, "pointer-to-struct": &exported{text},
		"unexported": unexported{text, raw}, "pointer-to-unexported": &unexported{text, raw},
		"slice": []secret.String{text}, "map": map[string]secret.String{"k": text}, "any": []any{text, &text},
	} {
		for how, got := range show(v) {
			for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), fmt.Sprint([]byte(hidden)), fmt.Sprintf("%#v", []byte(hidden))} {
				if strings.Contains(got, strings.Trim(form, "[]")) {
					t.Errorf("%s with %s shows the secret: %s", name, how, got)
				}
			}
		}
	}
	if got := fmt.Sprintf("%v %s", exported{text}, text); got != "{[secret]} [secret]" {
		t.Errorf("%s", got)
	}
	if text.Reveal() != hidden || string(raw.Reveal()) != hidden {
		t.Error("Reveal does not reveal")
	}
}

func TestShowWouldFindALeak(t *testing.T) {
	for how, got := range show(struct{ Password string }{hidden}) {
		if how == "%T" || how == "%p" || how == "%10.3s" || how == "%t" || how == "%d" {
			continue
		}
		if !strings.Contains(got, hidden) && !strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", hidden)) {
			t.Errorf("%s hides a plain string: %s", how, got)
		}
	}
}

func TestZeroValue(t *testing.T) {
	var v secret.String
	if !v.IsZero() || v.Reveal() != "" || v.String() != secret.Redacted || secret.NewValue("").IsZero() {
		t.Error("zero Value misbehaves")
	}
}

func TestEqual(t *testing.T) {
	a, b := secret.NewValue("a"), secret.NewValue("b")
	if !secret.Equal(a, secret.NewValue("a")) || secret.Equal(a, b) || secret.Equal(a, secret.NewValue("aa")) {
		t.Error("Equal misjudges")
	}
}

func TestUnmarshalDoesNotQuote(t *testing.T) {
	var config struct {
		Password secret.String
		Port     secret.Value[int]
	}
	if err := json.Unmarshal([]byte(`{"Password":"x","Port":7}`), &config); err != nil || config.Password.Reveal() != "x" || config.Port.Reveal() != 7 {
		t.Errorf("%v", err)
	}
	err := json.Unmarshal([]byte(`{"Port":"`+hidden+`"}`), &config)
	if err == nil || strings.Contains(err.Error(), hidden) {
		t.Errorf("error %v", err)
	}
}

func TestDependsOnStandardLibraryAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	if got := strings.TrimSpace(string(out)); got != "github.com/hardstand/hardstand/app/secret" {
		t.Errorf("secret depends on more than the standard library:\n%s", got)
	}
	out, err = exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		if dep == "os/exec" || dep == "plugin" {
			t.Errorf("secret depends on %s", dep)
		}
	}
}
