//! A target's task, which ends with what owns it.

use tokio::task::JoinHandle;

use crate::model::TargetId;

#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub fn new(task: JoinHandle<()>) -> Self {
        Self(task)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends all of them, and waits until nothing of them is under way.
pub(super) async fn end(ended: impl Iterator<Item = (TargetId, Task)>) -> Vec<TargetId> {
    let mut ended: Vec<(TargetId, Task)> = ended.collect();
    for (_, task) in &ended {
        task.0.abort();
    }
    for (_, task) in &mut ended {
        // An error says that it was aborted, as it should be.
        let _ = (&mut task.0).await;
    }
    ended.into_iter().map(|(id, _)| id).collect()
}
