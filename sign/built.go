package sign

import (
	"encoding/json"
	"strings"
	"time"
)

// builtAt is when an image was built, by what its provenance says: SLSA v1 and
// v0.2, https://slsa.dev/spec/v1.1/provenance. Where a builder leaves time out,
// so that the same build has the same bytes, it is the snapshot of the archive
// that the packages came from. It is zero for any other predicate.
func builtAt(predicateType string, predicate json.RawMessage) time.Time {
	if !strings.HasPrefix(predicateType, "https://slsa.dev/provenance/") {
		return time.Time{}
	}
	var p struct {
		Run struct {
			Metadata struct {
				Started  string `json:"startedOn"`
				Finished string `json:"finishedOn"`
			} `json:"metadata"`
		} `json:"runDetails"`
		Metadata struct {
			Started  string `json:"buildStartedOn"`
			Finished string `json:"buildFinishedOn"`
		} `json:"metadata"`
		Definition struct {
			External struct {
				Definition struct {
					Debian struct {
						Snapshot string `json:"snapshot"`
					} `json:"debian"`
				} `json:"definition"`
			} `json:"externalParameters"`
		} `json:"buildDefinition"`
	}
	if json.Unmarshal(predicate, &p) != nil {
		return time.Time{} // another shape under that name says nothing of time
	}
	for _, text := range []string{p.Run.Metadata.Finished, p.Run.Metadata.Started, p.Metadata.Finished, p.Metadata.Started, p.Definition.External.Definition.Debian.Snapshot} {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
