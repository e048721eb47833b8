package audit

// Step is one of the guide's 21 steps.
type Step struct {
	Number string `json:"number"` // "2.6"
	Title  string `json:"title"`
	// Kinds are the artefacts in which the step can be seen. Every one of them
	// has at least one rule, which a test proves.
	Kinds []Kind `json:"kinds"`
	// Person says which evidence answers the part that no artefact shows, and
	// is empty where artefacts show all of it.
	Person string `json:"person,omitempty"`
}

// Stage returns the step's stage, "1" to "4".
func (s Step) Stage() string { return s.Number[:1] }

// StageTitles names the four stages.
var StageTitles = map[string]string{
	"1": "Before the build",
	"2": "The build",
	"3": "Run time",
	"4": "Long term",
}

// Steps are the guide's steps in order.
var Steps = []Step{
	{Number: "1.1", Title: "Lint the Dockerfile", Kinds: []Kind{Dockerfile}},
	{Number: "1.2", Title: "Check for known vulnerabilities", Kinds: []Kind{Image, Inventory},
		Person: "a scan result that is newer than the oldest acceptable database"},
	{Number: "2.1", Title: "COPY instead of ADD", Kinds: []Kind{Dockerfile, Image}},
	{Number: "2.2", Title: "Verified images only", Kinds: []Kind{Dockerfile, Image, Compose, Kubernetes, ECS},
		Person: "a trust policy: which key or identity may sign which repository"},
	{Number: "2.3", Title: "Pin every build dependency", Kinds: []Kind{Dockerfile, Context, Workflow}},
	{Number: "2.4", Title: "Leave nothing valuable on disk", Kinds: []Kind{Dockerfile, Context, Image}},
	{Number: "2.5", Title: "A probe instead of download tools", Kinds: []Kind{Dockerfile, Image, Compose, Kubernetes, ECS}},
	{Number: "2.6", Title: "Run as non-root", Kinds: []Kind{Dockerfile, Image, Docker, Compose, Kubernetes, ECS}},
	{Number: "2.7", Title: "Decoys that raise an alarm", Kinds: []Kind{Image, Decoys, Export},
		Person: "an alarm that a test of the decoys raised"},
	{Number: "2.8", Title: "Multi-stage build, nothing secret in history", Kinds: []Kind{Dockerfile, Image}},
	{Number: "2.9", Title: "Scratch where possible", Kinds: []Kind{Image}},
	{Number: "3.1", Title: "Read-only root filesystem", Kinds: []Kind{Docker, Compose, Kubernetes, ECS}},
	{Number: "3.2", Title: "Run-time detection", Kinds: []Kind{Kubernetes, Export},
		Person: "an export of the detector's configuration, for example GuardDuty's get-detector"},
	{Number: "3.3", Title: "Drop all capabilities", Kinds: []Kind{Image, Docker, Compose, Kubernetes, ECS}},
	{Number: "3.4", Title: "CPU and memory limits", Kinds: []Kind{Docker, Compose, Kubernetes, ECS}},
	{Number: "3.5", Title: "A reliable way to secrets", Kinds: []Kind{Dockerfile, Image, Docker, Compose, Kubernetes, ECS}},
	{Number: "4.1", Title: "Rebuild regularly", Kinds: []Kind{Workflow, Image, Export},
		Person: "the ledger of builds, or an attested build time"},
	{Number: "4.2", Title: "Sign, and refuse unsigned images", Kinds: []Kind{Registry, Kubernetes, Export},
		Person: "the admission policy that the cluster or host enforces"},
	{Number: "4.3", Title: "Replicate to another region", Kinds: []Kind{Registry, Export},
		Person: "the replication configuration of the registry"},
	{Number: "4.4", Title: "Immutable tags", Kinds: []Kind{Registry, Export},
		Person: "the registry's tag mutability setting, or a ledger of tags and digests"},
	{Number: "4.5", Title: "Canary tokens in containers", Kinds: []Kind{Image, Decoys, Export},
		Person: "an inventory of tokens with the time each was last fired as a test"},
}

// StepByNumber finds a step.
func StepByNumber(number string) (Step, bool) {
	for _, s := range Steps {
		if s.Number == number {
			return s, true
		}
	}
	return Step{}, false
}
