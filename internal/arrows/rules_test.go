package arrows

// rooms are the folders at the top of the repository. imports lists the rooms that the code of a room, without its
// tests, may import; the packages inside one room may import each other.
var rooms = map[string]struct {
	imports string
	why     string
}{
	"packet":     {"", "everything stands on the vocabulary of the data path, so it stands on the standard library alone"},
	"policy":     {"packet", "the model of the policy is read by the switch, the command line and the tests, and knows none of them"},
	"qos":        {"packet", "scheduling is pure: bursts in, bursts out"},
	"offload":    {"packet", "what a NIC can do is asked through seams that others implement"},
	"sriov":      {"packet", "functions of NICs are kernel objects; the switch asks, it is not asked"},
	"gateway":    {"policy packet", "gateway services work on policy and packets, and run in processes of their own"},
	"dataplane":  {"policy qos packet", "the switch runs on memory ports without cgo: it defines Poller and never knows who implements it"},
	"dpdk":       {"packet", "the room of C is as thin as can be: it implements seams structurally and imports none of them"},
	"api":        {"", "clients import the API: it must bring nothing else along"},
	"cores":      {"", "which cores workers get is sysfs and arithmetic: daemon and doctor ask alike"},
	"nic":        {"", "NICs and their drivers are sysfs: command line, doctor and daemon use it alike"},
	"agent":      {"dataplane policy qos sriov offload gateway packet api web nic cores", "the agent knows all others but the device layer, which cmd/sluiced hands to it, so that it is tested on memory ports"},
	"doctor":     {"nic cores policy packet", "the doctor must work when nothing else does: no daemon, no DPDK"},
	"demo":       {"api policy packet configs", "the demo sees the switch as a user does: configuration, command and API"},
	"cli":        {"api policy packet demo doctor nic configs", "the command line talks to the daemon by the API alone"},
	"web":        {"api", "the page uses what every client uses"},
	"configs":    {"", "samples are data"},
	"cmd":        {"agent api policy packet dataplane cli nic cores doctor demo benchmarks configs dpdk qos", "commands wire rooms together; the devices and the switch are for the daemon only, see never below"},
	"internal":   {"agent dataplane policy packet api nic doctor demo configs", "test tools may use what they test, but not C"},
	"e2e":        {"api policy packet demo configs", "end-to-end tests see the switch as a user does"},
	"docs":       {"", "documents"},
	"docker":     {"", "images"},
	"benchmarks": {"agent dataplane policy packet qos api demo configs", "profiles, reports and what measures; devices come from the generator's command, so that all this builds without cgo"},
}

// never lists what the code of a package, without its tests, must not reach, be it through others.
var never = []struct {
	from string // package or folder; "" is all
	but  []string
	to   string
	why  string
}{
	{"", []string{"dpdk", "cmd/sluiced", "cmd/sluice-pktgen"}, "dpdk", "all but the daemon and the generator build with CGO_ENABLED=0"},
	{"cmd/sluice", nil, "dataplane", "the command line is small and talks to a daemon by the API; it has no switch in it"},
	{"cmd/sluice", nil, "agent", "the command line has no daemon in it"},
	{"cmd/sluice", nil, "benchmarks", "measuring is the generator's"},
	{"cmd/sluiced", nil, "benchmarks", "measuring is the generator's"},
	{"", []string{"internal", "e2e"}, "internal", "test tools stay out of what ships"},
	{"", []string{"internal", "e2e"}, "testing", "testing and its flags stay out of what ships"},
	{"", []string{"internal", "e2e"}, "github.com/stretchr/testify", "test tools stay out of what ships"},
	{"dataplane", nil, "github.com/google/gopacket", "gopacket allocates for every packet: it is for control and tests"},
	{"packet", nil, "github.com/google/gopacket", "gopacket allocates for every packet: it is for control and tests"},
	{"policy", nil, "github.com/google/gopacket", "the switch reads policy: gopacket would reach it by this way"},
	{"dpdk", nil, "github.com/google/gopacket", "gopacket allocates for every packet: it is for control and tests"},
	{"packet", nil, "golang.org/x", "packet stands on the standard library alone"},
	{"dataplane/vmq", nil, "packet", "decisions know loads, not packets: the simulator runs them without a switch"},
	{"dataplane/vmq", nil, "policy", "decisions know loads, not packets: the simulator runs them without a switch"},
	{"dataplane/vmq", nil, "github.com", "decisions stand on the standard library alone"},
}

// unsafeRooms may import unsafe in any file, because they import "C".
var unsafeRooms = []string{"dpdk"}

// noNames are package names that say nothing about what is inside.
var noNames = []string{"util", "utils", "common", "helper", "helpers", "base", "misc", "shared", "manager"}

const (
	maxFileLines     = 500
	maxFunctionLines = 70
)

// longFiles and longFunctions have a reason to be longer than others.
var longFiles = map[string]string{}

var longFunctions = map[string]string{}
