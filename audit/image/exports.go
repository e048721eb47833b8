package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/audit"
)

// export is a file of evidence, as far as it is understood.
type export struct {
	artifact     audit.Artifact
	err          error
	data         []byte
	detector     *detector
	repositories []repository
	replication  *replication
	ledger       []ledgerLine
	alarms       bool
}

// detector is what aws guardduty get-detector prints.
type detector struct {
	Status   string    `json:"Status"`
	Features []feature `json:"Features"`
}

type feature struct {
	Name       string    `json:"Name"`
	Status     string    `json:"Status"`
	Additional []feature `json:"AdditionalConfiguration"`
}

// repository is an element of what aws ecr describe-repositories prints.
type repository struct {
	URI        string `json:"repositoryUri"`
	Mutability string `json:"imageTagMutability"`
}

// replication is in what aws ecr describe-registry prints.
type replication struct {
	Rules []struct {
		Destinations []struct {
			Region     string `json:"region"`
			RegistryID string `json:"registryId"`
		} `json:"destinations"`
	} `json:"rules"`
}

// ledgerLine is a line of the ledger that hardstand publish keeps.
type ledgerLine struct {
	Time   time.Time `json:"time"`
	Tag    string    `json:"tag"`
	Digest string    `json:"digest"`
}

var errNotUnderstood = errors.New("it is none of the exports that are understood: GuardDuty get-detector, ECR describe-repositories and describe-registry, a ledger of hardstand publish, alarms of hardstand canary read --json")

func readExport(e Evidence) export {
	sum := sha256.Sum256(e.Data)
	x := export{artifact: audit.Artifact{Kind: audit.Export, Name: e.Name, SHA256: hex.EncodeToString(sum[:])}, data: e.Data}
	if len(e.Data) > MaxEvidence {
		x.err = fmt.Errorf("more than %d bytes", MaxEvidence)
		return x
	}
	var object struct {
		Status       string          `json:"Status"`
		Features     []feature       `json:"Features"`
		Repositories []repository    `json:"repositories"`
		Replication  json.RawMessage `json:"replicationConfiguration"`
		Key          string          `json:"key"`
	}
	if json.Unmarshal(e.Data, &object) == nil {
		switch {
		case object.Features != nil:
			x.detector = &detector{object.Status, object.Features}
			return x
		case object.Repositories != nil:
			x.repositories = object.Repositories
			return x
		case object.Replication != nil:
			x.replication = &replication{}
			x.err = json.Unmarshal(object.Replication, x.replication)
			return x
		}
	}
	if x.lines(); x.ledger == nil && !x.alarms {
		x.err = errNotUnderstood
	}
	return x
}

// lines reads JSON lines: a ledger or alarms.
func (x *export) lines() {
	for line := range bytes.Lines(x.data) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		var l struct {
			ledgerLine
			Decoy string `json:"decoy"`
			Kind  string `json:"kind"`
			Key   string `json:"key"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return
		}
		switch {
		case l.Tag != "" && l.Digest != "":
			x.ledger = append(x.ledger, l.ledgerLine)
		case l.Decoy != "" || l.Key != "" || l.Kind != "":
			x.alarms = true
		}
	}
}

// on returns a finding about an export.
func (x export) on(v audit.Verdict, method, observed, expected string) audit.Finding {
	return audit.Finding{Verdict: v, Artifact: x.artifact, Locator: audit.Locator{Path: x.artifact.Name}, Method: method, Observed: observed, Expected: expected}
}
