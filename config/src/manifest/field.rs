// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Paths of fields: `spec.ports[0].port`, `metadata.annotations[ferrolb.io/addresses]`.

/// One step into a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The field or key of that name.
    Key(&'a str),
    /// The element with that index.
    Index(usize),
}

/// The steps of a path as refusals spell it.
pub(super) fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            steps.push(inside.parse().map_or(Step::Key(inside), Step::Index));
            rest = after;
        } else {
            let rest_of_name = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest_of_name.find(['.', '[']).unwrap_or(rest_of_name.len());
            let (name, after) = rest_of_name.split_at(end);
            if !name.is_empty() {
                steps.push(Step::Key(name));
            } else if after == rest {
                break;
            }
            rest = after;
        }
    }
    steps
}

/// The path that [`steps`] reads back.
pub(super) fn path(steps: &[Step<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Key(key) if key.contains(['.', '/', '[']) => path.push_str(&format!("[{key}]")),
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_its_steps_are_one_thing() {
        for text in [
            "spec.addresses[1]",
            "metadata.annotations[ferrolb.io/addresses]",
            "spec.nodeSelectors[0].matchExpressions[2].operator",
            "",
        ] {
            assert_eq!(path(&steps(text)), text);
        }
        assert_eq!(steps("a[1].b"), [Step::Key("a"), Step::Index(1), Step::Key("b")]);
    }

    #[test]
    fn odd_paths_end_somewhere() {
        for text in ["[", "..", "a[", "]", ".[", "[]", "a..b", "[[0]"] {
            let _ = steps(text);
        }
    }
}
