package policy

import "fmt"

// diffClassification compares rules by name, and their order, in which they decide.
func diffClassification(now, wanted *Config) []Change {
	var out []Change
	old, next := classificationOf(now), classificationOf(wanted)
	out = append(out, diffObjects("classification", EffectPolicy, defaultClass(now), defaultClass(wanted))...)
	out = append(out, diffObjects("rule", EffectPolicy, classRules(old), classRules(next))...)
	out = append(out, diffObjects("built-in", EffectPolicy, builtIns(old), builtIns(next))...)
	out = append(out, diffObjects("outer", EffectPolicy, outers(old), outers(next))...)
	if detail := reordered(ruleOrder(old), ruleOrder(next)); detail != "" {
		out = append(out, Change{OpModify, "rule", "order", detail, EffectPolicy})
	}
	return out
}

func classificationOf(c *Config) *ClassificationConfig {
	if c == nil {
		return &ClassificationConfig{}
	}
	return &c.Classification
}

// ruleOrder are the rules as those of vports, all of one weight.
func ruleOrder(c *ClassificationConfig) []ACLConfig {
	rules := make([]ACLConfig, len(c.Rules))
	for i := range c.Rules {
		rules[i].Name = c.Rules[i].Name
	}
	return rules
}

func outcomeProps(o *OutcomeConfig) []property {
	return []property{
		prop("tc", o.tc(), EffectPolicy),
		prop("dscp", o.DSCP.show(dscpName), EffectPolicy),
		prop("pcp", o.PCP.show(pcpName), EffectPolicy),
	}
}

func pcpName(v uint8) string { return fmt.Sprint(v) }

// defaultClass is there when the section is.
func defaultClass(c *Config) []view {
	if c == nil || !c.has("classification") {
		return nil
	}
	return []view{{"default", outcomeProps(&c.Classification.Default.OutcomeConfig)}}
}

func classRules(c *ClassificationConfig) []view {
	views := make([]view, len(c.Rules))
	for i := range c.Rules {
		r := &c.Rules[i]
		views[i] = view{r.Name, append([]property{prop("match", r.Match.String(), EffectPolicy)}, outcomeProps(&r.OutcomeConfig)...)}
	}
	return views
}

func builtIns(c *ClassificationConfig) []view {
	views := make([]view, len(c.BuiltIn))
	for i := range c.BuiltIn {
		views[i] = view{c.BuiltIn[i].Name, outcomeProps(&c.BuiltIn[i].OutcomeConfig)}
	}
	return views
}

func outers(c *ClassificationConfig) []view {
	views := make([]view, len(c.Outer))
	for i := range c.Outer {
		o := &c.Outer[i]
		views[i] = view{"of class " + pcpName(o.TC), []property{
			prop("dscp", o.DSCP.show(dscpName), EffectPolicy), prop("pcp", o.PCP.show(pcpName), EffectPolicy)}}
	}
	return views
}
