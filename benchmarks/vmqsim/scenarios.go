package vmqsim

import "time"

// CheckScenario is small enough for a test to play it again.
func CheckScenario() Scenario {
	return Scenario{Name: "check", Says: "a small one that tests play again", Cores: 8, Nodes: 2, VMs: 100, Uplinks: 8, Time: 5 * time.Minute, Mean: 0.5, Tail: 1.5, Most: 0.6, Bursts: 0.3, Noise: 0.05, Seed: 8}
}

// Scenarios are the loads of the published comparison.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "steady", Says: "heavy-tailed loads that stay", Cores: 32, Nodes: 2, VMs: 500, Uplinks: 32, Time: 30 * time.Minute, Mean: 0.5, Tail: 1.4, Most: 0.6, Noise: 0.05, Seed: 1},
		{Name: "bursts", Says: "half of the load comes in bursts of 4 s to 4 min, nine or ten begin every second", Cores: 128, Nodes: 2, VMs: 2000, Uplinks: 128, Time: 30 * time.Minute, Mean: 0.45, Tail: 1.6, Most: 0.6, Bursts: 0.5, Noise: 0.05, Seed: 2},
		{Name: "day", Says: "a day in an hour, from a fifth to 1.8 times the mean, with bursts", Cores: 128, Nodes: 2, VMs: 2000, Uplinks: 128, Time: time.Hour + warmUp, Mean: 0.4, Tail: 1.6, Most: 0.6, Bursts: 0.2, Day: time.Hour, Swing: 0.8, Noise: 0.05, Seed: 3},
		{Name: "shift", Says: "every five minutes other VMs are the busy ones", Cores: 64, Nodes: 2, VMs: 1000, Uplinks: 64, Time: 32 * time.Minute, Mean: 0.5, Tail: 1.4, Most: 0.6, Bursts: 0.1, Shift: 5 * time.Minute, Noise: 0.05, Seed: 4},
		{Name: "small", Says: "a host of eight cores", Cores: 8, Nodes: 1, VMs: 60, Uplinks: 8, Time: time.Hour, Mean: 0.4, Tail: 1.4, Most: 0.6, Bursts: 0.4, Noise: 0.05, Seed: 5},
		{Name: "full", Says: "three quarters of all cores are needed", Cores: 64, Nodes: 2, VMs: 1000, Uplinks: 64, Time: 30 * time.Minute, Mean: 0.75, Tail: 1.6, Most: 0.6, Bursts: 0.2, Noise: 0.05, Seed: 6},
	}
}
