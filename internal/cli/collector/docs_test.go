package collector

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestDocumentedConfiguration reads the examples of the guides as the
// collector does.
func TestDocumentedConfiguration(t *testing.T) {
	for file, least := range map[string]int{"collector-sinks.md": 2, "collector-dashboard.md": 2} {
		text, err := os.ReadFile("../../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
		if len(found) < least {
			t.Errorf("%s has %d examples", file, len(found))
		}
		for _, example := range found {
			var c config
			d := yaml.NewDecoder(bytes.NewReader(example[1]))
			d.KnownFields(true)
			if err := d.Decode(&c); err != nil {
				t.Errorf("%s: %v\n%s", file, err, example[1])
			}
		}
	}
}
